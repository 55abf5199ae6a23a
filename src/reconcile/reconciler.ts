import { mergeFinalizer } from '../api/v1alpha1/names.ts'
import type { Applications } from '../tokens/applications.ts'
import { ApiError } from '../kubernetes/errors.ts'
import { keyOf, type ObjectKey } from '../kubernetes/types.ts'
import { WorkQueue, type WorkQueueObserver, type WorkQueueSnapshot } from '../kubernetes/work-queue.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import {
  type Credential,
  type Observed,
  type Propagation,
  tokenOnTargets,
  type TargetToken,
} from '../observe/observed.ts'
import { invalidStatus, isSameStatus } from '../status/next-status.ts'
import type { Log } from '../lib/log.ts'
import type { Action } from '../plan/actions.ts'
import { AwaitedConfigMaps } from '../observe/awaited-config-maps.ts'
import { byObject, type Caches } from '../observe/caches.ts'
import { compileAll, type CredentialState, newState } from '../observe/credential-state.ts'
import type { Executor } from './executor.ts'
import { RefreshBarrier } from './refresh-barrier.ts'
import { observe } from '../observe/observe.ts'
import { hasFailed, newPass, type Pass } from '../observe/pass.ts'
import { plan } from '../plan/plan.ts'
import type { InvalidCredential } from '../observe/parse-object.ts'

export interface ReconcilerOptions {
  readonly caches: Caches
  readonly executor: Pick<Executor, 'executeAll' | 'report' | 'setFinalizers'>
  readonly applications: Pick<Applications, 'isMember' | 'leave' | 'view'>
  /** What running consumers were told. */
  readonly propagations: { propagation(key: ObjectKey): Propagation | undefined; forget(key: ObjectKey): void }
  /** Resolves when ConfigMaps are watched and known; called when a resource first names one. */
  readonly configMapsSynced: (namespace: string) => Promise<void>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly isGatewayAllowed: (gatewayUrl: string) => boolean
  readonly fieldManager: string
  readonly queueObserver?: WorkQueueObserver
  /** A new token is on all targets of a resource; `headroomMs` of the old one's life was left. */
  readonly onRenewed: (headroomMs: number) => void
  readonly onGone: (key: ObjectKey) => void
}

/** Statuses wait until all targets that can be written are. */
const priorities = { token: 2, firstSync: 1, routine: 0, status: -1 }
/** Far more than any plan takes; what does not settle goes back into the queue, with backoff. */
const maxIterations = 24
const idlePollMs = 10
/** An API server may ask for patience, but not for so much that a token runs out meanwhile. */
const maxRetryAfterMs = 5 * 60_000

/**
 * Looks at a credential whenever something about it changed or is due, and does what the plan says until nothing is
 * left to do: observe, plan, execute. What kind of change it was makes no difference.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions
  readonly #queue: WorkQueue<ObjectKey>
  readonly #states = new Map<ObjectKey, CredentialState>()
  readonly #refreshBarrier: RefreshBarrier
  readonly #configMaps: AwaitedConfigMaps
  #hasWarnedOfCrd = false
  /** Whether a credential is looked at, or will be. */
  readonly isQueued = (key: ObjectKey): boolean => this.#queue.has(key)

  constructor(options: ReconcilerOptions) {
    this.#options = options
    const { caches, clock, configMapsSynced, queueObserver, random } = options
    this.#refreshBarrier = new RefreshBarrier({
      ...options,
      enqueue: (keys) => {
        this.enqueue(keys, true)
      },
    })
    this.#configMaps = new AwaitedConfigMaps({
      credentials: caches.credentials,
      clock,
      synced: configMapsSynced,
      onKnown: (keys) => {
        this.enqueue(keys)
      },
    })
    this.#queue = new WorkQueue<ObjectKey>({
      name: 'credentials',
      clock,
      random,
      ...(queueObserver === undefined ? {} : { observer: queueObserver }),
      onError: (key, error) => {
        this.#report(key, error)
      },
    })
    caches.credentials.subscribe((key) => {
      const isNew = caches.credentials.get(key)?.status.tokenFingerprint === undefined
      this.#queue.add(key, { priority: isNew ? priorities.firstSync : priorities.routine })
    })
    caches.secrets.subscribe((key) => {
      this.enqueue(caches.credentials.byIndex(byObject('Secret', key)))
    })
    caches.configMaps.subscribe((key) => {
      this.enqueue(caches.credentials.byIndex(byObject('ConfigMap', key)))
    })
  }

  /** Starts working. Until then what is to be looked at gathers. */
  run(concurrency: number): void {
    this.#queue.run(concurrency, async (key, signal) => {
      try {
        await this.#reconcile(key, signal)
      } catch (error) {
        if (!(error instanceof ApiError)) throw error
        this.#report(key, error)
        this.#retry(key, error.retryAfterMs ?? 0)
      }
    })
  }

  /** @param isUrgent there is a token to write */
  enqueue(keys: Iterable<ObjectKey>, isUrgent = false): void {
    for (const key of keys) this.#queue.add(key, { priority: isUrgent ? priorities.token : priorities.routine })
  }

  /** @see RefreshBarrier.gather */
  async summonHolders(gatewayUrl: string, fingerprint: string, signal: AbortSignal): Promise<void> {
    await this.#refreshBarrier.gather(gatewayUrl, fingerprint, signal)
  }

  snapshot(): WorkQueueSnapshot {
    return this.#queue.snapshot()
  }

  /** What is known of a credential besides its resource, for metrics. */
  state(key: ObjectKey): CredentialState | undefined {
    return this.#states.get(key)
  }

  /** Resolves when nothing is ready or worked on, at the latest after `limitMs`. */
  async idle(limitMs: number): Promise<void> {
    const { clock } = this.#options
    const until = clock.now() + limitMs
    while (clock.now() < until) {
      const { depth, processing } = this.#queue.snapshot()
      if (depth + processing === 0) return
      await sleep(clock, idlePollMs)
    }
  }

  async shutDown(drainMs: number): Promise<void> {
    await this.#queue.shutDown({ drainMs })
  }

  async #reconcile(key: ObjectKey, signal: AbortSignal): Promise<void> {
    const endReconcile = this.#refreshBarrier.beginReconcile(key)
    try {
      const credential = this.#options.caches.credentials.get(key)
      if (credential === undefined) this.#forget(key)
      else if (credential.spec === undefined) await this.#reportInvalid(credential, signal)
      else await this.#settle(credential, signal)
    } finally {
      endReconcile()
    }
  }

  async #settle(first: Credential, signal: AbortSignal): Promise<void> {
    const { applications, caches, clock, executor } = this.#options
    const { key } = first
    const pass = newPass(first, this.#stateOf(first))
    let hasWritten = false
    for (let looks = 0; looks < maxIterations; looks++) {
      signal.throwIfAborted()
      const credential = caches.credentials.get(key)
      if (credential?.spec === undefined) {
        this.#queue.add(key)
        return
      }
      pass.credential = credential
      pass.state = this.#stateOf(credential)
      const observed = this.#observe(pass)
      const { actions, requeueAt } = plan(observed, clock.now())
      if (actions.length === 0) {
        if (applications.isMember(key)) this.#refreshBarrier.release(key)
        if (requeueAt !== undefined) this.#queue.addAfter(key, requeueAt - clock.now())
        if (hasFailed(pass)) this.#retry(key, pass.retryAfterMs)
        else this.#queue.forget(key)
        return
      }
      if (hasWritten && !hasFailed(pass) && actions.every(isStatus)) {
        this.#queue.add(key, { priority: priorities.status })
        return
      }
      const before = tokenOnTargets(observed)
      await executor.executeAll(actions, pass, signal)
      if (pass.state.prunedStatus !== undefined) this.#warnOfOldCrd()
      hasWritten ||= actions.some(isTargetWrite)
      pass.state.expiredTime.countUntil(clock.now(), before?.expiresAt)
      this.#noteRenewal(before, tokenOnTargets(observed))
    }
    throw new Error(`${key} did not settle in ${maxIterations} looks`)
  }

  #report(key: ObjectKey, error: unknown): void {
    const detail = error instanceof ApiError ? { detail: error.message } : { err: error }
    this.#options.log.warn({ credential: key, ...detail }, 'reconcile failed; it is tried again')
  }

  #warnOfOldCrd(): void {
    if (this.#hasWarnedOfCrd) return
    this.#hasWarnedOfCrd = true
    this.#options.log.warn('the API server does not keep all of a status: apply the CRD of this version')
  }

  /** @param retryAfterMs what the API server asks for */
  #retry(key: ObjectKey, retryAfterMs: number): void {
    this.#queue.addRateLimited(key, { minDelayMs: Math.min(retryAfterMs, maxRetryAfterMs) })
  }

  #observe(pass: Pass): Observed {
    const { applications, caches, clock, fieldManager, isGatewayAllowed, propagations } = this.#options
    const { key } = pass.credential
    return observe(caches, pass, {
      application: applications.view(key),
      propagation: propagations.propagation(key),
      isSummoned: this.#refreshBarrier.isSummoned(key),
      configMapsAwaitedSince: this.#configMaps.awaitedSince(pass.credential),
      isGatewayAllowed,
      fieldManager,
      wallOffset: clock.wall() - clock.now(),
    })
  }

  #stateOf(credential: Credential): CredentialState {
    const { clock } = this.#options
    const known = this.#states.get(credential.key)
    if (known?.uid !== credential.uid) {
      if (known !== undefined) this.#forget(credential.key)
      const state = newState(credential, clock.now(), clock.wall() - clock.now())
      this.#states.set(credential.key, state)
      return state
    }
    if (known.generation !== credential.generation) {
      known.generation = credential.generation
      Object.assign(known, compileAll(credential))
    }
    return known
  }

  /** Measures how much of the old token's life was left when the last target had the new one. */
  #noteRenewal(before: TargetToken | undefined, after: TargetToken | undefined): void {
    if (before === undefined || after === undefined || before.fingerprint === after.fingerprint) return
    this.#options.onRenewed(before.expiresAt - this.#options.clock.now())
  }

  async #reportInvalid(credential: InvalidCredential, signal: AbortSignal): Promise<void> {
    const { clock, executor } = this.#options
    this.#release(credential.key)
    if (credential.isDeleting) {
      // What was merged where is not known to be so any more: better left than guessed.
      const finalizers = credential.finalizers.filter((one) => one !== mergeFinalizer)
      if (finalizers.length < credential.finalizers.length) await executor.setFinalizers(credential, finalizers, signal)
    } else {
      const status = invalidStatus(credential.status, credential.generation, credential.problems, clock.wall())
      if (!isSameStatus(credential.status, status)) await executor.report(credential, status, signal)
    }
    this.#queue.forget(credential.key)
  }

  /** The credential is gone, or another one has its name. */
  #forget(key: ObjectKey): void {
    const { caches, onGone } = this.#options
    // Somebody else may wait for what this one held.
    const [namespace = ''] = key.split('/')
    for (const name of this.#states.get(key)?.record.keys() ?? []) {
      this.enqueue(caches.credentials.byIndex(byObject('Secret', keyOf({ namespace, name }))))
    }
    this.#release(key)
    this.#queue.forget(key)
    onGone(key)
  }

  /** Drops all that is known of a credential beyond what the API server has. */
  #release(key: ObjectKey): void {
    const { applications, propagations } = this.#options
    applications.leave(key)
    propagations.forget(key)
    this.#refreshBarrier.release(key)
    this.#states.delete(key)
  }
}

const isStatus = (action: Action): boolean => action.do === 'patchStatus'

function isTargetWrite({ do: what }: Action): boolean {
  return what === 'createTarget' || what === 'patchTarget' || what === 'recreateTarget' || what === 'applyKeys'
}
