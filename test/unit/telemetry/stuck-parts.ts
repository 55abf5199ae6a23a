import { Consumers } from '../../../src/consumers/consumers.ts'
import type { CallResult } from '../../../src/enos/token-client.ts'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import { HttpKubernetesClient } from '../../../src/kubernetes/http-client.ts'
import type { Transport, TransportRequest } from '../../../src/kubernetes/transport.ts'
import type { KubernetesClient } from '../../../src/kubernetes/types.ts'
import { WorkQueue } from '../../../src/kubernetes/work-queue.ts'
import type { Timer } from '../../../src/lib/clock.ts'
import { createCaches } from '../../../src/observe/caches.ts'
import { Watches } from '../../../src/observe/watches.ts'
import { createExecutor } from '../../../src/operator.ts'
import { Reconciler } from '../../../src/reconcile/reconciler.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'
import { Applications } from '../../../src/tokens/applications.ts'
import { credential, operator } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'

export const silentLog = createLogger({ level: 'silent', format: 'json', destination: process.stdout })

/** A call that neither answers nor respects a deadline. */
export const never = <T>(): Promise<T> => new Promise(() => undefined)

/** A clock that can lose the timers set on it. */
export class LosingClock extends FakeClock {
  losesTimers = false

  override setTimer(delayMs: number, callback: () => void): Timer {
    return this.losesTimers ? { cancel: () => undefined } : super.setTimer(delayMs, callback)
  }
}

export function workQueue(clock: FakeClock, handlingLimitMs?: () => number): WorkQueue<string> {
  const limit = handlingLimitMs === undefined ? {} : { handlingLimitMs }
  return new WorkQueue({ name: 'test', clock, random: () => 0, onError: () => undefined, ...limit })
}

/** Watches of the real client, against an API server that answers by `request`. */
export function startWatches(clock: FakeClock, request: (request: TransportRequest) => Promise<unknown>): Watches {
  const transport = { request } as unknown as Transport
  const client = new HttpKubernetesClient({ transport, clock, fieldManager: operator })
  const watches = new Watches({
    client,
    caches: createCaches(),
    namespaces: [],
    clock,
    random: () => 0,
    log: silentLog,
  })
  watches.start(new AbortController().signal)
  return watches
}

export function answer(statusCode: number, text: string, headers: Record<string, string> = {}): unknown {
  return {
    statusCode,
    headers,
    body: { text: () => Promise.resolve(text), [Symbol.asyncIterator]: () => [text].values() },
  }
}

export const emptyList = answer(200, JSON.stringify({ metadata: { resourceVersion: '1' }, items: [] }))

/** A watch that is open and silent. @param heeds ends it when it aborts; undefined: never ends */
export function silentStream(heeds: AbortSignal | undefined): unknown {
  const silence = new Promise<never>((_, reject) => {
    heeds?.addEventListener('abort', () => reject(new ApiError('watch', { code: 0, reason: 'Aborted' })))
  })
  const next = (): Promise<never> => silence
  return { statusCode: 200, headers: {}, body: { [Symbol.asyncIterator]: () => ({ next }) } }
}

export function applicationsOf(clock: FakeClock, call: () => Promise<CallResult>): Applications {
  return new Applications({
    clock,
    client: { call },
    log: silentLog,
    random: () => 0,
    gatewayMaxConcurrency: 4,
    summonHolders: () => Promise.resolve(),
    onChange: () => undefined,
    onAttempt: () => undefined,
  })
}

export function consumersOf(clock: FakeClock, client: Pick<KubernetesClient, 'get' | 'list' | 'patch'>): Consumers {
  const credentials = { get: () => credential({ spec: { propagation: 'Immediate' } }) }
  return new Consumers({ client, credentials, clock, random: () => 0, log: silentLog, onChange: () => undefined })
}

/** A reconciler whose API server never answers a read. */
export function hangingReconciler(clock: FakeClock, applications: Applications) {
  const caches = createCaches()
  const hanging = { get: never, patch: never, create: never, delete: never }
  const propagator = consumersOf(clock, { ...hanging, list: never })
  const reconcilerOf = (): Reconciler =>
    new Reconciler({
      caches,
      applications,
      propagations: propagator,
      executor: createExecutor({
        client: { ...hanging, list: never },
        caches,
        applications,
        propagator,
        clock,
        log: silentLog,
        emitEvent: () => undefined,
        onTargetWrite: () => undefined,
      }),
      configMapsSynced: () => Promise.resolve(),
      clock,
      random: () => 0,
      log: silentLog,
      isGatewayAllowed: () => true,
      isLeading: () => true,
      fieldManager: operator,
      onRenewed: () => undefined,
      onGone: () => undefined,
    })
  return { caches, reconcilerOf }
}
