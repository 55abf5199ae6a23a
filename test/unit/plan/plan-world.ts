import { inspect } from 'node:util'
import { expect } from 'vitest'
import { managedBy } from '../../../src/api/v1alpha1/names.ts'
import { credentials, secrets } from '../../../src/kubernetes/types.ts'
import { createCaches } from '../../../src/observe/caches.ts'
import { CredentialStates } from '../../../src/observe/credential-states.ts'
import { observe } from '../../../src/observe/observe.ts'
import type { Observed, Propagation } from '../../../src/observe/observed.ts'
import { parseCredential, parseMetadata } from '../../../src/observe/parse-object.ts'
import { newPass, type Pass } from '../../../src/observe/pass.ts'
import { createExecutor } from '../../../src/operator.ts'
import { converge, type Iteration } from '../../../src/reconcile/converge.ts'
import type { Executor } from '../../../src/reconcile/executor.ts'
import { assess } from '../../../src/status/assess.ts'
import { eventsBetween } from '../../../src/status/events.ts'
import { nextStatus } from '../../../src/status/next-status.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'
import type { ApplicationView } from '../../../src/tokens/application-view.ts'
import type { HeldToken } from '../../../src/tokens/held-token.ts'
import type { Membership } from '../../../src/tokens/membership.ts'
import { marker } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { MemoryApi } from '../../support/memory-api.ts'

export const namespace = 'plant-a'
export const name = 'wind-farm'
/** The view of the resource's application, which does nothing by itself. */
export type Answer = Pick<ApplicationView, 'token' | 'renewalAtWall' | 'failure' | 'failures' | 'method'>

/** One resource on an API server in memory: the real plan and executor, with a scripted application. */
export class PlanWorld {
  readonly clock = new FakeClock()
  readonly api = new MemoryApi(this.clock, managedBy)
  readonly user = this.api.user('kubectl')
  readonly emitted: unknown[] = []
  /** The tokens that the application had so far. */
  readonly tokens = new Map<string, HeldToken>()
  answer: Answer | undefined
  isGatewayAllowed = true
  /** Whether a propagation ends at once; otherwise it never ends. */
  isPropagating = true
  #caches = createCaches()
  #states = new CredentialStates(this.clock)
  #propagation: Propagation | undefined
  #lastRequest: string | undefined

  constructor() {
    this.api.listen(({ plural }, object, isGone) => {
      if (plural === secrets.plural) {
        if (isGone) this.#caches.secrets.remove(parseMetadata(object))
        else this.#caches.secrets.upsert(parseMetadata(object))
      } else if (isGone) {
        this.#caches.credentials.remove(parseCredential(object))
      } else {
        this.#caches.credentials.upsert(parseCredential(object))
      }
    })
  }

  secret(of: string): ReturnType<MemoryApi['find']> {
    return this.api.find(secrets, { namespace, name: of })
  }

  resource(): ReturnType<MemoryApi['find']> {
    return this.api.find(credentials, { namespace, name })
  }

  /** Restarts the process: all state is lost but that of the API server. */
  restart(): void {
    this.#caches = createCaches()
    for (const object of this.api.all(credentials)) this.#caches.credentials.upsert(parseCredential(object))
    for (const object of this.api.all(secrets)) this.#caches.secrets.upsert(parseMetadata(object))
    this.#states = new CredentialStates(this.clock)
    this.#propagation = undefined
    this.#lastRequest = undefined
  }

  /**
   * Converges, and shows each iteration to `check`.
   *
   * @returns the last iteration, which has no actions; undefined: the resource is gone
   * @throws when it does not converge
   */
  async converge(check: (iteration: Iteration) => void = () => undefined): Promise<Iteration | undefined> {
    const { signal } = new AbortController()
    const executor = this.#executor()
    let pass: Pass | undefined
    const last = await converge({
      observe: () => {
        pass = this.#pass(pass)
        return pass === undefined ? undefined : this.#observe(pass)
      },
      now: () => this.clock.now(),
      execute: async (iteration) => {
        check(iteration)
        if (pass !== undefined) await executor.executeAll(iteration.planned.actions, pass, signal)
      },
    })
    if (last !== undefined) check(last)
    return last
  }

  #pass(before: Pass | undefined): Pass | undefined {
    const credential = this.#caches.credentials.get(`${namespace}/${name}`)
    if (credential?.spec === undefined) return undefined
    const state = this.#states.of(credential)
    return before === undefined ? newPass(credential, state) : { ...before, credential, state }
  }

  #observe(pass: Pass): Observed {
    return observe(this.#caches, pass, {
      application: this.#view(pass.state.membership),
      propagation: this.#propagation,
      isSummoned: false,
      configMapsAwaitedSince: undefined,
      isGatewayAllowed: () => this.isGatewayAllowed,
      fieldManager: managedBy,
      wallOffset: this.clock.wall() - this.clock.now(),
    })
  }

  #view(membership: Membership | undefined): ApplicationView | undefined {
    if (membership === undefined || this.answer === undefined) return undefined
    return {
      isRefreshMissing: false,
      isClamped: false,
      lastRenewal: undefined,
      memberCount: 1,
      ...this.answer,
      handledRequest: this.#lastRequest,
    }
  }

  #executor(): Executor {
    return createExecutor({
      client: this.api,
      caches: this.#caches,
      clock: this.clock,
      log: createLogger({ level: 'silent', format: 'json', destination: process.stdout }),
      applications: {
        join: (_, { renewRequest }) => {
          this.#lastRequest = renewRequest ?? this.#lastRequest
        },
        leave: () => {
          this.#lastRequest = undefined
        },
      },
      propagator: {
        propagate: ({ credential: { generation }, fingerprint }) => {
          const outcome = { status: 'True', reason: 'Propagated', message: 'all were notified' } as const
          this.#propagation = { fingerprint, generation, outcome: this.isPropagating ? outcome : undefined }
        },
      },
      emitEvent: (_, event) => void this.emitted.push(event),
      onTargetWrite: () => undefined,
    })
  }
}

/** The plan, status, events and assessment of an iteration, as JSON and as `inspect` prints them. */
export function textOf({ observed, planned }: Iteration, now: number): string {
  const next = nextStatus(observed, undefined, now)
  const all = [planned, next, eventsBetween(observed.credential.status, next), assess(observed, undefined, now)]
  return all.map((one) => JSON.stringify(one) + inspect(one, { depth: null, showHidden: true })).join('\n')
}

/** The secrets, plain and in base64, at any offset of the encoded text. */
const traces = Object.values(marker).flatMap((value) => {
  // The characters in the middle of the encoded secret do not depend on the text around it.
  const encoded = ['', 'x', 'xx'].map((before) => {
    const text = Buffer.from(before + value).toString('base64')
    return text.slice(before.length === 0 ? 0 : 4, 4 * Math.floor((before.length + value.length) / 3))
  })
  return [value, ...encoded]
})

export function expectNoSecretIn(text: string): void {
  for (const trace of traces) expect(text).not.toContain(trace)
}
