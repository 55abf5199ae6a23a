import { describe, expect, it, onTestFinished } from 'vitest'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import {
  configMaps,
  credentials,
  type KubernetesClient,
  type ResourceType,
  secrets,
} from '../../../src/kubernetes/types.ts'
import { createCaches } from '../../../src/observe/caches.ts'
import { Watches } from '../../../src/observe/watches.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const log = createLogger({ level: 'silent', format: 'json' })

/** Watches of an API server without objects, which answers a list with the HTTP status that `failing` returns. */
function start(
  failing: (type: ResourceType, namespace: string | undefined) => number | undefined,
  namespaces = ['plant-a', 'plant-b'],
) {
  const clock = new FakeClock()
  const lists: string[] = []
  const client: Pick<KubernetesClient, 'list' | 'watch'> = {
    list: (type, namespace) => {
      lists.push(`${type.plural} ${namespace ?? ''}`)
      const code = failing(type, namespace)
      if (code === undefined) return Promise.resolve({ metadata: { resourceVersion: '1' }, items: [] })
      return Promise.reject(new ApiError(`list ${type.plural}`, { code, reason: 'any' }))
    },
    async *watch(_type, _namespace, { signal }) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      yield* []
    },
  }
  const watches = new Watches({ client, caches: createCaches(), namespaces, clock, random: () => 0.5, log })
  const stop = new AbortController()
  onTestFinished(async () => {
    stop.abort()
    await watches.ended()
  })
  watches.start(stop.signal)
  return { clock, lists, watches }
}

describe('Watches', () => {
  it('Watches has synced when each namespace was listed', async () => {
    let isBroken = true
    const { clock, watches } = start((_, namespace) => (isBroken && namespace === 'plant-b' ? 500 : undefined))
    await clock.advance(1000)
    expect(watches.hasSynced()).toBe(false)
    isBroken = false
    await clock.advance(60_000)
    expect(watches.hasSynced()).toBe(true)
    await expect(watches.synced()).resolves.toBeUndefined()
  })

  it.each([secrets, credentials])(
    'Watches has synced without a namespace in which listing $plural is forbidden',
    async (type) => {
      let isRefusing = true
      const { clock, watches } = start((one, namespace) =>
        isRefusing && namespace === 'plant-b' && one === type ? 403 : undefined,
      )
      await clock.advance(1000)
      expect(watches.hasSynced()).toBe(true)
      expect(watches.refused()).toEqual(['plant-b'])
      await expect(watches.synced()).resolves.toBeUndefined()
      isRefusing = false
      await clock.advance(60_000)
      expect(watches.refused()).toEqual([])
    },
  )

  it('Watches has not synced when listing is forbidden in each namespace', async () => {
    for (const namespaces of [[], ['plant-a'], ['plant-a', 'plant-b']]) {
      const { clock, watches } = start(() => 403, namespaces)
      let canBegin = false
      void watches.synced().then(() => (canBegin = true))
      await clock.advance(60_000)
      expect(watches.hasSynced()).toBe(false)
      expect(canBegin).toBe(false)
    }
  })

  it('Watches lists no credentials of a namespace before its Secrets are synced', async () => {
    const { clock, lists } = start(({ plural }, namespace) =>
      plural === secrets.plural && namespace === 'plant-b' ? 403 : undefined,
    )
    await clock.advance(60_000)
    expect(lists).toContain('enosappcredentials plant-a')
    expect(lists).not.toContain('enosappcredentials plant-b')
  })

  it('Watches has synced when listing the ConfigMaps that a credential names is forbidden', async () => {
    const { clock, watches } = start(({ plural }, namespace) => {
      return plural === configMaps.plural && namespace === 'plant-a' ? 403 : undefined
    })
    await watches.configMapsSynced('plant-b')
    let areKnown = false
    void watches.configMapsSynced('plant-a').then(() => (areKnown = true))
    await clock.advance(60_000)
    expect(areKnown).toBe(false)
    expect(watches.hasSynced()).toBe(true)
    await expect(watches.synced()).resolves.toBeUndefined()
  })
})
