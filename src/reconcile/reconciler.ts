import { ApiError } from '../kubernetes/errors.ts'
import type { ObjectKey } from '../kubernetes/types.ts'
import { WorkQueue, type WorkQueueObserver, type WorkQueueSnapshot } from '../kubernetes/work-queue.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import { AwaitedConfigMaps } from '../observe/awaited-config-maps.ts'
import { byObject, type Caches } from '../observe/caches.ts'
import type { CredentialState } from '../observe/credential-state.ts'
import { CredentialStates } from '../observe/credential-states.ts'
import { observe } from '../observe/observe.ts'
import {
  type Credential,
  type InvalidCredential,
  type Observed,
  type Propagation,
  type TargetToken,
  tokenOnTargets,
} from '../observe/observed.ts'
import { hasFailed, hasWrittenTarget, newPass, type Pass } from '../observe/pass.ts'
import { isStatusOnly } from '../plan/actions.ts'
import { planInvalid } from '../plan/plan.ts'
import type { Applications } from '../tokens/applications.ts'
import { converge, type Iteration } from './converge.ts'
import type { Executor } from './executor.ts'
import { InstallationWarnings } from './installation-warnings.ts'
import { logDecision, logPass } from './pass-log.ts'
import { RefreshBarrier } from './refresh-barrier.ts'
import { SharedTargets } from './shared-targets.ts'

export interface ReconcilerOptions {
  readonly caches: Caches
  readonly executor: Pick<Executor, 'executeAll' | 'executeOnResource'>
  readonly applications: Pick<Applications, 'isMember' | 'leave' | 'view'>
  /** How far tokens were propagated to running pods. */
  readonly propagations: { propagation(key: ObjectKey): Propagation | undefined; forget(key: ObjectKey): void }
  /** Resolves when ConfigMaps are watched and synced; called when a resource first names one. */
  readonly configMapsSynced: (namespace: string) => Promise<void>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly isGatewayAllowed: (gatewayUrl: string) => boolean
  /** Once false, another replica may work, and no reconcile begins. */
  readonly isLeading: () => boolean
  readonly fieldManager: string
  readonly queueObserver?: WorkQueueObserver
  /** A new token is on all targets of a resource; `headroomMs` of the old token's life was left. */
  readonly onRenewed: (headroomMs: number) => void
  readonly onGone: (key: ObjectKey) => void
}

/** In a burst, statuses come after all targets; one that tells only of a wait may not be needed then. */
const priorities = { token: 2, firstSync: 1, routine: 0, status: -1, waitingStatus: -2 }
const idlePollMs = 10
/** A longer Retry-After of the API server could let a token expire meanwhile. */
const maxRetryAfterMs = 5 * 60_000

/**
 * Reconciles a credential whenever it, its Secrets or its token may have changed, or a deadline has come: observes,
 * plans and executes until the plan is empty. The type of the event that enqueued it makes no difference.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions
  readonly #queue: WorkQueue<ObjectKey>
  readonly states: CredentialStates
  readonly #refreshBarrier: RefreshBarrier
  readonly #configMaps: AwaitedConfigMaps
  readonly #sharedTargets: SharedTargets
  readonly #warnings: InstallationWarnings
  /** Whether a credential is being reconciled, or will be. */
  readonly isQueued = (key: ObjectKey): boolean => this.#queue.has(key)

  constructor(options: ReconcilerOptions) {
    this.#options = options
    const { caches, clock, configMapsSynced, queueObserver, random } = options
    this.states = new CredentialStates(clock)
    this.#sharedTargets = new SharedTargets(caches.credentials)
    this.#warnings = new InstallationWarnings(options)
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
        this.#logError(key, error)
      },
    })
    this.#subscribe(caches)
  }

  #subscribe(caches: Caches): void {
    caches.credentials.subscribe((key) => {
      const isNew = caches.credentials.get(key)?.status.tokenFingerprint === undefined
      this.#queue.add(key, { priority: isNew ? priorities.firstSync : priorities.routine })
    })
    caches.everyCredential?.subscribe((key) => {
      // Nothing else tells of the deletion of a credential of another operator.
      if (caches.everyCredential?.get(key) === undefined) this.enqueue(this.#sharedTargets.awaitingDeletionOf(key))
    })
    caches.secrets.subscribe((key) => {
      this.enqueue(caches.credentials.byIndex(byObject('Secret', key)), caches.secrets.get(key) === undefined)
    })
    caches.configMaps.subscribe((key) => {
      this.enqueue(caches.credentials.byIndex(byObject('ConfigMap', key)))
    })
  }

  /** Starts the workers. Until then keys wait in the queue. */
  run(concurrency: number): void {
    this.#queue.run(concurrency, async (key, signal) => {
      if (!this.#options.isLeading()) return
      try {
        await this.#reconcile(key, signal)
      } catch (error) {
        if (!(error instanceof ApiError)) throw error
        this.#logError(key, error)
        this.#retry(key, error.retryAfterMs ?? 0)
      }
    })
  }

  /** @param isUrgent a token is waiting to be written, or a Secret is gone, without which no pod starts */
  enqueue(keys: Iterable<ObjectKey>, isUrgent = false): void {
    for (const key of keys) this.#queue.add(key, { priority: isUrgent ? priorities.token : priorities.routine })
  }

  /** @see RefreshBarrier.summon */
  summonHolders(gatewayUrl: string, fingerprint: string, signal: AbortSignal): Promise<void> {
    return this.#refreshBarrier.summon(gatewayUrl, fingerprint, signal)
  }

  snapshot(): WorkQueueSnapshot {
    return this.#queue.snapshot()
  }

  /** Resolves when no key is ready or being worked on, at the latest after `limitMs`. */
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
      else if (credential.spec === undefined) await this.#reconcileInvalid(credential, signal)
      else await this.#converge(credential, signal)
    } finally {
      endReconcile()
    }
  }

  async #converge(first: Credential, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options
    const pass = newPass(first, this.#stateOf(first))
    try {
      const last = await converge({
        observe: () => this.#observe(pass),
        now: () => clock.now(),
        // No target waits for the status of another.
        shouldYield: ({ planned }) =>
          hasWrittenTarget(pass) && !hasFailed(pass) && isStatusOnly(planned) && this.#queue.snapshot().depth > 0,
        execute: (iteration) => this.#execute(iteration, pass, signal),
      })
      this.#conclude(pass, last)
    } finally {
      logPass(log, pass)
    }
  }

  async #execute({ observed, planned }: Iteration, pass: Pass, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { clock, executor, log } = this.#options
    const before = tokenOnTargets(observed)
    logDecision(log, pass.credential.key, planned)
    await executor.executeAll(planned.actions, pass, signal)
    pass.state.expiredTime.countUntil(clock.now(), before?.expiresAt)
    this.#noteRenewal(before, tokenOnTargets(observed))
  }

  /** Sees to it that the credential is reconciled again when it has to be. */
  #conclude(pass: Pass, last: Iteration | undefined): void {
    const { applications, clock, log } = this.#options
    const { key } = pass.credential
    this.enqueue(this.#sharedTargets.note(pass.credential))
    if (last === undefined) {
      this.#queue.add(key)
      return
    }
    const { actions, reason, requeueAt } = last.planned
    const isStatusDue = this.#warnings.review(pass.state, last.observed) || actions.length > 0
    if (isStatusDue) this.#queue.add(key, { priority: priorities.status })
    if (actions.length > 0) return
    logDecision(log, key, last.planned)
    if (applications.isMember(key)) this.#refreshBarrier.release(key)
    // An earlier pass may have set an earlier time, for what is over now.
    if (!hasFailed(pass)) this.#queue.remove(key)
    const isFirstHeld = reason === 'QuietPeriod' && pass.credential.status.conditions.length === 0
    const priority = isFirstHeld ? priorities.waitingStatus : priorities.routine
    if (requeueAt !== undefined) this.#queue.addAfter(key, requeueAt - clock.now(), { priority })
    if (hasFailed(pass)) this.#retry(key, pass.retryAfterMs)
  }

  #logError(key: ObjectKey, error: unknown): void {
    const detail = error instanceof ApiError ? { detail: error.message } : { err: error }
    this.#options.log.warn({ credential: key, ...detail }, 'reconcile failed, retrying')
  }

  /** As urgent as a token, which may be what could not be written. @param retryAfterMs asked for by the API server */
  #retry(key: ObjectKey, retryAfterMs: number): void {
    this.#queue.addRateLimited(key, { priority: priorities.token, minDelayMs: Math.min(retryAfterMs, maxRetryAfterMs) })
  }

  /** @returns undefined when the credential is gone, or its spec is not valid any more */
  #observe(pass: Pass): Observed | undefined {
    const { applications, caches, clock, fieldManager, isGatewayAllowed, propagations } = this.#options
    const { key } = pass.credential
    // Everything is read anew, so that no event until now, as of an own write, needs a further pass; except that only a
    // further pass forgets what this one has read and has failed at, and that a refresh may wait for it.
    if (pass.contents.size === 0 && !hasFailed(pass) && !this.#refreshBarrier.isAwaited(key)) this.#queue.markClean(key)
    const credential = caches.credentials.get(key)
    if (credential?.spec === undefined) return undefined
    pass.credential = credential
    pass.state = this.#stateOf(credential)
    return observe(caches, pass, {
      application: applications.view(key),
      propagation: propagations.propagation(key),
      isSummoned: this.#refreshBarrier.isSummoned(key),
      configMapsAwaitedSince: this.#configMaps.awaitedSince(credential),
      isGatewayAllowed,
      fieldManager,
      wallOffset: clock.wall() - clock.now(),
    })
  }

  #stateOf(credential: Credential): CredentialState {
    if (this.states.isReplaced(credential)) this.#forget(credential.key)
    return this.states.of(credential)
  }

  /** Measures how much of the old token's life was left when the last target had the new one. */
  #noteRenewal(before: TargetToken | undefined, after: TargetToken | undefined): void {
    if (before === undefined || after === undefined || before.fingerprint === after.fingerprint) return
    this.#options.onRenewed(before.expiresAt - this.#options.clock.now())
  }

  async #reconcileInvalid(credential: InvalidCredential, signal: AbortSignal): Promise<void> {
    const { applications, clock, executor } = this.#options
    this.#release(credential.key)
    const isMember = applications.isMember(credential.key)
    const { actions } = planInvalid({ credential, isMember, nowWall: clock.wall() })
    await executor.executeOnResource(actions, credential, signal)
    this.enqueue(this.#sharedTargets.note(credential))
    this.#queue.forget(credential.key)
  }

  /** The credential is gone, or another one has its name. */
  #forget(key: ObjectKey): void {
    const { applications, onGone } = this.#options
    // Another credential may wait for a Secret that this one held, or had as a target.
    this.enqueue(this.#sharedTargets.forget(key))
    applications.leave(key)
    this.#release(key)
    this.#queue.remove(key)
    onGone(key)
  }

  /** Drops what this process knows of a credential besides its resource. */
  #release(key: ObjectKey): void {
    this.#options.propagations.forget(key)
    this.#refreshBarrier.release(key)
    this.states.delete(key)
  }
}
