import type { TokenClient } from '../../src/enos/token-client.ts'
import { configMaps, credentials, keyOf, type ObjectKey, secrets } from '../../src/kubernetes/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { createCaches } from '../../src/observe/caches.ts'
import type { CredentialState } from '../../src/observe/credential-state.ts'
import { parseCredential, parseMetadata } from '../../src/observe/parse-object.ts'
import { createOperator, type Operator } from '../../src/operator.ts'
import type { EventInput } from '../../src/status/events.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import type { MemoryApi } from './memory-api.ts'

/** The operator without process, HTTP and watches: real queues, plans and writes on an API server in memory. */
export class MemoryOperator {
  /** Emitted events and log lines. */
  readonly emitted: (EventInput | string)[] = []
  /** Remaining life of the old token, ms, at each renewal, when all targets had the new one. */
  readonly headrooms: number[] = []
  /** How many reconciles of credentials have ended. */
  passes = 0
  readonly #caches = createCaches()
  readonly #operator: Operator
  readonly #stopWatching: () => void

  /** @param configMapsSynced resolves when ConfigMaps are synced; default: at once */
  constructor(
    api: MemoryApi,
    tokenClient: Pick<TokenClient, 'call'>,
    clock: Clock,
    configMapsSynced: () => Promise<void> = () => Promise.resolve(),
  ) {
    const destination = { write: (line: string) => void this.emitted.push(line) }
    this.#operator = createOperator({
      client: api,
      caches: this.#caches,
      clock,
      random: () => 0.5,
      log: createLogger({ level: 'trace', format: 'json', destination }),
      tokenClient,
      gatewayMaxConcurrency: 4,
      configMapsSynced,
      isGatewayAllowed: () => true,
      isLeading: () => true,
      emitEvent: (_, event) => void this.emitted.push(event),
      observer: {
        onAttempt: () => undefined,
        onTargetWrite: () => undefined,
        onRenewed: (headroomMs) => void this.headrooms.push(headroomMs),
        onGone: () => undefined,
        queues: {
          onAdd: () => undefined,
          onRetry: () => undefined,
          onStart: () => undefined,
          onDone: (queue) => {
            if (queue === 'credentials') this.passes++
          },
          onLate: () => undefined,
        },
      },
    })
    for (const object of api.all(credentials)) this.#caches.credentials.upsert(parseCredential(object))
    for (const object of api.all(secrets)) this.#caches.secrets.upsert(parseMetadata(object))
    for (const object of api.all(configMaps)) this.#caches.configMaps.upsert(parseMetadata(object))
    this.#stopWatching = api.listen(({ plural }, object, isGone) => {
      if (plural === secrets.plural || plural === configMaps.plural) {
        const store = plural === secrets.plural ? this.#caches.secrets : this.#caches.configMaps
        if (isGone) store.remove(parseMetadata(object))
        else store.upsert(parseMetadata(object))
      } else if (isGone) {
        this.#caches.credentials.remove(parseCredential(object))
      } else {
        this.#caches.credentials.upsert(parseCredential(object))
      }
    })
    this.#operator.run(4)
  }

  /** Enqueues all resources, as a resync does. */
  resync(): void {
    const keys = [...this.#caches.credentials.values()].map((credential): ObjectKey => keyOf(credential))
    this.#operator.enqueue(keys)
  }

  /** What the operator knows of a credential besides its resource. */
  state(key: ObjectKey): CredentialState | undefined {
    return this.#operator.state(key)
  }

  /** Notifies the operator of a jump of the wall clock. */
  onClockJump(jumpMs: number): void {
    this.#operator.onClockJump(jumpMs)
  }

  /** Ends the operator like a killed process: running work has no further effect. */
  async kill(): Promise<void> {
    this.#stopWatching()
    await this.#operator.drain({ applications: 0, idle: 0, reconciler: 0 })
  }
}
