import { describe, expect, it, onTestFinished } from 'vitest'
import { ApiError } from '../../src/kubernetes/errors.ts'
import { configMaps, type KubernetesClient, type ResourceType } from '../../src/kubernetes/types.ts'
import { createCaches } from '../../src/reconcile/caches.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { Watches } from '../../src/watches.ts'
import { FakeClock } from '../support/fake-clock.ts'

const log = createLogger({ level: 'silent', format: 'json' })

/** The watches of two namespaces on an API server without objects, which refuses to list what `isRefused` says. */
function start(isRefused: (type: ResourceType, namespace: string | undefined) => boolean) {
  const clock = new FakeClock()
  const client: Pick<KubernetesClient, 'list' | 'watch'> = {
    list: (type, namespace) =>
      isRefused(type, namespace)
        ? Promise.reject(new ApiError(`list ${type.plural}`, { code: 403, reason: 'Forbidden' }))
        : Promise.resolve({ metadata: { resourceVersion: '1' }, items: [] }),
    async *watch(_type, _namespace, { signal }) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      yield* []
    },
  }
  const namespaces = ['plant-a', 'plant-b']
  const watches = new Watches({ client, caches: createCaches(), namespaces, clock, random: () => 0.5, log })
  const stop = new AbortController()
  onTestFinished(async () => {
    stop.abort()
    await watches.ended()
  })
  watches.start(stop.signal)
  return { clock, watches }
}

describe('what is watched from the start', () => {
  it('has synced when all namespaces were listed', async () => {
    let isRefusing = true
    const { clock, watches } = start((_, namespace) => isRefusing && namespace === 'plant-b')
    await clock.advance(1000)
    expect(watches.hasSynced()).toBe(false)
    isRefusing = false
    await clock.advance(60_000)
    expect(watches.hasSynced()).toBe(true)
    await expect(watches.synced()).resolves.toBeUndefined()
  })

  it('has synced though ConfigMaps, which somebody named, may not be listed', async () => {
    const { clock, watches } = start(({ plural }) => plural === configMaps.plural)
    let areKnown = false
    void watches.configMapsSynced().then(() => (areKnown = true))
    await clock.advance(60_000)
    expect(areKnown).toBe(false)
    expect(watches.hasSynced()).toBe(true)
    await expect(watches.synced()).resolves.toBeUndefined()
  })
})
