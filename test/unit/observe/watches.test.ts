import { describe, expect, it, onTestFinished } from 'vitest'
import { parseLabelSelector } from '../../../src/config/label-selector.ts'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import {
  configMaps,
  credentials,
  type KubernetesClient,
  type KubernetesObject,
  type ListOptions,
  type ResourceType,
  secrets,
  type WatchEvent,
  type WatchOptions,
} from '../../../src/kubernetes/types.ts'
import { createCaches, findByUid } from '../../../src/observe/caches.ts'
import { Watches } from '../../../src/observe/watches.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'

const log = createLogger({ level: 'silent', format: 'json', destination: process.stdout })

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

/**
 * Watches of an API server with one credential of each shard, a and b. Each key of `sent` is a watch, and its calls are
 * the events that it receives.
 */
async function startShard(selectorText: string | undefined) {
  const clock = new FakeClock()
  const [a, b] = [credentialOf('a', '1'), credentialOf('b', '1')]
  const asked: string[] = []
  const sent = new Map<string, (type: WatchEvent<KubernetesObject>['type'], object: KubernetesObject) => void>()
  const nameOf = (plural: string, isMetadataOnly = false, selector = ''): string =>
    [plural, ...(isMetadataOnly ? ['metadata'] : []), selector].filter(Boolean).join(' ')
  const client = {
    list: (type: ResourceType, _: unknown, { labelSelector, metadataOnly }: ListOptions = {}) => {
      asked.push(nameOf(type.plural, metadataOnly, labelSelector))
      const all = type.plural === credentials.plural ? [a, b] : []
      const items = all.filter(({ metadata }) => labelSelector !== 'shard=a' || metadata.labels?.['shard'] === 'a')
      return Promise.resolve({ metadata: { resourceVersion: '1' }, items })
    },
    async *watch(type: ResourceType, _: unknown, { labelSelector, metadataOnly, signal }: WatchOptions) {
      const waiting: WatchEvent<KubernetesObject>[] = []
      let wake = (): void => undefined
      sent.set(nameOf(type.plural, metadataOnly, labelSelector), (event, object) => {
        waiting.push({ type: event, object })
        wake()
      })
      signal.addEventListener('abort', () => {
        wake()
      })
      while (!signal.aborted) {
        for (const event of waiting.splice(0)) yield event
        await new Promise<void>((resolve) => (wake = resolve))
      }
    },
  } as Pick<KubernetesClient, 'list' | 'watch'>
  const selector = selectorText === undefined ? undefined : parseLabelSelector(selectorText)
  const caches = createCaches(selector)
  const watches = new Watches({ client, caches, namespaces: [], clock, random: () => 0.5, log })
  const stop = new AbortController()
  onTestFinished(async () => {
    stop.abort()
    await watches.ended()
  })
  watches.start(stop.signal)
  await watches.synced()
  await settle()
  const send = async (watch: string, type: WatchEvent<KubernetesObject>['type'], object: KubernetesObject) => {
    const deliver = sent.get(watch)
    if (deliver === undefined) throw new Error(`no watch of ${watch}, only of ${[...sent.keys()].join(', ')}`)
    deliver(type, object)
    await settle()
  }
  return { asked, caches, send, watched: [...sent.keys()] }
}

function credentialOf(shard: string, resourceVersion: string, name = shard): KubernetesObject {
  return { metadata: { namespace: 'plant', name, uid: `uid-${name}`, resourceVersion, labels: { shard } } }
}

const all = 'enosappcredentials metadata'
const selected = 'enosappcredentials shard=a'

describe('Watches with a label selector', () => {
  it('a selector adds a watch of the metadata of all credentials, listed before the selected ones', async () => {
    const { asked, caches, watched } = await startShard('shard=a')
    expect(asked).toEqual(['secrets metadata', all, selected])
    expect(watched).toEqual(['secrets metadata', all, selected])
    expect([...caches.credentials.keys()]).toEqual(['plant/a'])
    expect(['uid-a', 'uid-b', 'uid-c'].map((uid) => findByUid(caches, uid)?.name)).toEqual(['a', 'b', undefined])
  })

  it('without a selector the credentials are watched once', async () => {
    const { asked, caches, watched } = await startShard(undefined)
    expect(asked).toEqual(['secrets metadata', 'enosappcredentials'])
    expect(watched).toEqual(['secrets metadata', 'enosappcredentials'])
    expect([...caches.credentials.keys()]).toEqual(['plant/a', 'plant/b'])
    expect(['uid-b', 'uid-c'].map((uid) => findByUid(caches, uid)?.name)).toEqual(['b', undefined])
  })

  it('a credential that leaves the selection stays alive, and one that enters it is worked on', async () => {
    const { caches, send } = await startShard('shard=a')
    const told: string[] = []
    caches.credentials.subscribe((key) => told.push(key))
    await send(all, 'MODIFIED', credentialOf('b', '2', 'a'))
    await send(selected, 'DELETED', credentialOf('a', '2', 'a'))
    await send(all, 'MODIFIED', credentialOf('a', '3', 'b'))
    await send(selected, 'ADDED', credentialOf('a', '3', 'b'))
    expect([...caches.credentials.keys()]).toEqual(['plant/b'])
    expect(told).toEqual(['plant/a', 'plant/b'])
    expect(['uid-a', 'uid-b'].map((uid) => findByUid(caches, uid)?.name)).toEqual(['a', 'b'])
    await send(all, 'DELETED', credentialOf('b', '4', 'a'))
    expect(findByUid(caches, 'uid-a')).toBeUndefined()
  })
})
