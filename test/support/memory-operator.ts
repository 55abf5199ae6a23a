import { managedBy } from '../../src/api/v1alpha1/names.ts'
import { Applications } from '../../src/tokens/applications.ts'
import type { TokenClient } from '../../src/enos/token-client.ts'
import { configMaps, credentials, keyOf, type ObjectKey, secrets } from '../../src/kubernetes/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { createCaches } from '../../src/observe/caches.ts'
import { Executor } from '../../src/reconcile/executor.ts'
import { Reconciler } from '../../src/reconcile/reconciler.ts'
import { parseCredential, parseMetadata } from '../../src/observe/parse-object.ts'
import { TargetExecutor } from '../../src/reconcile/target-executor.ts'
import type { EventInput } from '../../src/status/events.ts'
import { TargetWriter } from '../../src/targets/target-writer.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import type { MemoryApi } from './memory-api.ts'

/** The operator without process, HTTP and watches: the real queues, plans and writes on an API server in memory. */
export class MemoryOperator {
  /** Events and log lines. */
  readonly told: (EventInput | string)[] = []
  /** Life left of the old token, in ms, each time that a new one was on all targets. */
  readonly headrooms: number[] = []
  readonly #caches = createCaches()
  readonly #applications: Applications
  readonly #reconciler: Reconciler
  readonly #stopWatching: () => void

  /** @param configMapsSynced resolves when ConfigMaps are known; default: at once */
  constructor(
    api: MemoryApi,
    client: Pick<TokenClient, 'call'>,
    clock: Clock,
    configMapsSynced: () => Promise<void> = () => Promise.resolve(),
  ) {
    const destination = { write: (line: string) => void this.told.push(line) }
    const log = createLogger({ level: 'trace', format: 'json', destination })
    const common = { clock, random: () => 0.5, log }
    this.#applications = new Applications({
      ...common,
      client,
      gatewayMaxConcurrency: 4,
      summonHolders: (url, fingerprint, signal) => this.#reconciler.summonHolders(url, fingerprint, signal),
      onChange: (keys, isUrgent) => this.#reconciler.enqueue(keys, isUrgent),
      onAttempt: () => undefined,
    })
    const writer = new TargetWriter({ client: api, fieldManager: managedBy, onWrite: () => undefined })
    this.#reconciler = new Reconciler({
      ...common,
      caches: this.#caches,
      applications: this.#applications,
      propagations: { propagation: () => undefined, forget: () => undefined },
      executor: new Executor({
        client: api,
        caches: this.#caches,
        applications: this.#applications,
        targets: new TargetExecutor({ writer, secrets: this.#caches.secrets }),
        propagator: { propagate: () => undefined },
        clock,
        emitEvent: (_, event) => void this.told.push(event),
      }),
      configMapsSynced,
      isGatewayAllowed: () => true,
      fieldManager: managedBy,
      onRenewed: (headroomMs) => void this.headrooms.push(headroomMs),
      onGone: () => undefined,
    })
    for (const object of api.all(credentials)) this.#caches.credentials.upsert(parseCredential(object))
    for (const object of api.all(secrets)) this.#caches.secrets.upsert(parseMetadata(object))
    for (const object of api.all(configMaps)) this.#caches.configMaps.upsert(parseMetadata(object))
    this.#stopWatching = api.listen(({ plural }, object, isGone) => {
      if (plural === secrets.plural || plural === configMaps.plural) {
        const store = plural === secrets.plural ? this.#caches.secrets : this.#caches.configMaps
        if (isGone) store.remove(parseMetadata(object))
        else store.upsert(parseMetadata(object))
      } else if (isGone) this.#caches.credentials.remove(parseCredential(object))
      else this.#caches.credentials.upsert(parseCredential(object))
    })
    this.#reconciler.run(4)
  }

  /** Has all resources looked at again, though nothing changed. */
  lookAgain(): void {
    const keys = [...this.#caches.credentials.values()].map((credential): ObjectKey => keyOf(credential))
    this.#reconciler.enqueue(keys)
  }

  /** As if the process were killed: what is under way gets nothing done any more. */
  async kill(): Promise<void> {
    this.#stopWatching()
    await Promise.all([this.#reconciler.shutDown(0), this.#applications.shutDown(0)])
  }
}
