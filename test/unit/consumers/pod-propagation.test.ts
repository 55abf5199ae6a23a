import { describe, expect, it } from 'vitest'
import { annotations } from '../../../src/api/v1alpha1/names.ts'
import { pods } from '../../../src/kubernetes/types.ts'
import { settle } from '../../support/fake-clock.ts'
import { mounting, namespace, World } from './support.ts'

const immediate = { propagation: 'Immediate' }
const environment = { containers: [{ envFrom: [{ secretRef: { name: 'enos-token' } }] }] }

describe('propagation to pods', () => {
  it('annotates the pods that mount a target, and no others', async () => {
    const world = new World()
    world.pod('mounts')
    world.pod('other', mounting('something-else'))
    world.pod('elsewhere', mounting(), {}, 'plant-b')
    world.propagate('wind', 'aaa', immediate)
    expect(world.consumers.propagation('plant-a/wind')).toEqual({
      fingerprint: 'aaa',
      generation: 1,
      isSilent: false,
      outcome: undefined,
    })
    await settle()
    expect([world.fingerprintOf('mounts'), world.fingerprintOf('other')]).toEqual(['aaa', undefined])
    expect(world.patches.map(({ name }) => name)).toEqual(['mounts'])
    expect(world.outcome('wind')).toMatchObject({
      status: 'True',
      reason: 'Propagated',
      message: 'the present token was propagated to 1 pod that mounts a target',
    })
    expect(world.changed).toEqual(['plant-a/wind'])
    // Pods that have ended are not listed.
    expect(world.lists[0]?.fieldSelector).toBe('status.phase!=Succeeded,status.phase!=Failed')
  })

  it('annotates a pod once for each token', async () => {
    const world = new World()
    world.pod('mounts')
    for (const fingerprint of ['aaa', 'aaa', 'bbb']) {
      world.propagate('wind', fingerprint, immediate)
      await settle()
    }
    expect(world.patches).toHaveLength(2)
    expect(world.fingerprintOf('mounts')).toBe('bbb')
  })

  it('does nothing without propagation Immediate', async () => {
    const world = new World()
    world.pod('mounts')
    world.propagate('wind', 'aaa', { propagation: 'Kubelet' })
    await world.clock.advance(60_000)
    expect([world.lists, world.patches]).toEqual([[], []])
  })

  it('leaves pods alone that are being deleted', async () => {
    const world = new World()
    world.pod('ending', mounting(), { deletionTimestamp: '2026-01-01T12:00:00Z', finalizers: ['a/b'] })
    world.propagate('wind', 'aaa', immediate)
    await settle()
    expect(world.patches).toEqual([])
    expect(world.outcome('wind')?.message).toContain('to 0 pods that mount')
  })

  it('annotates at most ten pods in a tenth of a second', async () => {
    const world = new World()
    for (let at = 0; at < 35; at++) world.pod(`pod-${at}`)
    world.propagate('wind', 'aaa', immediate)
    const start = world.clock.now()
    await world.clock.advance(1000)
    const times = world.patches.map(({ at }) => at - start)
    const expected = [0, 100, 200].flatMap((at) => Array<number>(10).fill(at))
    expect(times).toEqual([...expected, 300, 300, 300, 300, 300])
    expect(world.outcome('wind')?.message).toContain('35 pods that mount')
  })

  it('finds pods on every page', async () => {
    const world = new World()
    world.pageSize = 2
    for (const name of ['a', 'b', 'c', 'd', 'e']) world.pod(name)
    world.propagate('wind', 'aaa', immediate)
    await settle()
    expect(world.lists.map((options) => options.continue)).toEqual([undefined, '2', '4'])
    expect(['a', 'b', 'c', 'd', 'e'].map((name) => world.fingerprintOf(name))).toEqual(Array(5).fill('aaa'))
  })

  it('lists the pods of a namespace once for all its credentials', async () => {
    const world = new World()
    world.pod('one')
    world.pod('two', mounting('solar-token'))
    world.propagate('first', 'zzz', { ...immediate, targets: [{ name: 'not-mounted' }] })
    // These are added while the first is handled.
    world.propagate('wind', 'aaa', immediate)
    world.propagate('solar', 'bbb', { ...immediate, targets: [{ name: 'solar-token' }] })
    world.propagate('wind-too', 'aaa', immediate)
    await settle()
    expect(world.lists).toHaveLength(2)
    expect([world.fingerprintOf('one'), world.fingerprintOf('two')]).toEqual(['aaa', 'bbb'])
  })
})

describe('the patch of a pod', () => {
  const ref = { namespace, name: 'mounts' }

  it('is for the version that was read', async () => {
    const world = new World()
    world.pod('mounts')
    const { metadata } = world.api.all(pods)[0] ?? {}
    world.propagate('wind', 'aaa', immediate)
    await settle()
    expect(world.patches[0]?.metadata).toEqual({
      uid: metadata?.uid,
      resourceVersion: metadata?.resourceVersion,
      annotations: { [annotations.tokenFingerprint]: 'aaa' },
    })
  })

  it('is retried when another field of the pod changed meanwhile', async () => {
    const world = new World()
    world.pod('mounts')
    world.beforePatch = () => {
      if (world.patches.length < 3) {
        world.user.patch(pods, ref, { metadata: { labels: { seen: `${world.patches.length}` } } })
      }
    }
    world.propagate('wind', 'aaa', immediate)
    await settle()
    expect(world.fingerprintOf('mounts')).toBe('aaa')
    expect(world.patches).toHaveLength(3)
    expect(world.lists.at(-1)?.fieldSelector).toBe('metadata.name=mounts')
  })

  it('is left to the backoff after five conflicts', async () => {
    const world = new World()
    world.pod('mounts')
    let isBusy = true
    world.beforePatch = () => {
      if (isBusy) world.user.patch(pods, ref, { metadata: { labels: { seen: `${world.patches.length}` } } })
    }
    world.propagate('wind', 'aaa', immediate)
    await settle()
    expect(world.patches).toHaveLength(5)
    isBusy = false
    await world.clock.advance(1000)
    expect(world.fingerprintOf('mounts')).toBe('aaa')
  })

  it.each([
    [
      'another token was propagated meanwhile: the kubelet has seen what is on the targets',
      (world: World) =>
        world.user.patch(pods, ref, { metadata: { annotations: { [annotations.tokenFingerprint]: 'zzz' } } }),
      'zzz',
    ],
    [
      'the pod was replaced by another one of its name',
      (world: World) => {
        world.user.delete(pods, ref)
        world.pod('mounts')
      },
      undefined,
    ],
    ['the pod was deleted', (world: World) => world.user.delete(pods, ref), undefined],
    [
      'the pod is being deleted',
      (world: World) => {
        world.user.patch(pods, ref, { metadata: { finalizers: ['a/b'] } })
        world.user.delete(pods, ref)
      },
      undefined,
    ],
  ])('is not retried when %s', async (_, happen, expected) => {
    const world = new World()
    world.pod('mounts')
    world.beforePatch = () => {
      if (world.patches.length === 1) happen(world)
    }
    world.propagate('wind', 'aaa', immediate)
    await world.clock.advance(1000)
    expect(world.patches).toHaveLength(1)
    expect(world.fingerprintOf('mounts')).toBe(expected)
    expect(world.outcome('wind')).toMatchObject({ status: 'True', reason: 'Propagated' })
  })
})

describe('pods that the kubelet never updates', () => {
  const metadata = (replicaSet: string) => ({
    labels: { 'pod-template-hash': '5d8f' },
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: replicaSet, uid: 'u', controller: true }],
  })

  it('are named once by their workload', async () => {
    const world = new World()
    world.pod('reports-1', environment, metadata('reports-5d8f'))
    world.pod('reports-2', environment, metadata('reports-5d8f'))
    world.pod('alone', mounting('enos-token', { subPath: 'accessToken' }))
    world.propagate('wind', 'aaa', immediate)
    await settle()
    expect(world.outcome('wind')).toMatchObject({ status: 'True', reason: 'ConsumersNeedRestart' })
    expect(world.outcome('wind')?.message).toContain(
      '; Deployment reports, Pod alone read the token from environment or subPath',
    )
    expect(world.patches).toEqual([])
  })

  it('are not named if their workload is restarted', async () => {
    const world = new World()
    world.deployment('reports')
    world.pod('reports-1', environment, metadata('reports-5d8f'))
    world.propagate('wind', 'aaa', { ...immediate, restartOnRenewal: [{ kind: 'Deployment', name: 'reports' }] })
    await world.clock.advance(3000)
    expect(world.outcome('wind')).toMatchObject({ status: 'True', reason: 'Propagated' })
    expect(world.restartOf('reports')).toBeDefined()
  })

  it('are only counted after the fifth', async () => {
    const world = new World()
    for (let at = 0; at < 7; at++) world.pod(`pod-${at}`, environment)
    world.propagate('wind', 'aaa', immediate)
    await settle()
    expect(world.outcome('wind')?.message).toContain('Pod pod-4 and 2 more read the token')
  })
})

describe('propagation to pods, while the API server refuses', () => {
  it('is retried with backoff, is a condition after the third failure, and recovers', async () => {
    const world = new World()
    world.pod('mounts')
    world.broken.set('patch', 500)
    world.propagate('wind', 'aaa', immediate)
    await settle()
    expect(world.outcome('wind')).toBeUndefined()
    await world.clock.advance(10_000)
    expect(world.outcome('wind')).toEqual({
      status: 'False',
      reason: 'PropagationFailed',
      message: 'patch: HTTP 500 InternalError',
    })
    const tries = world.patches.length
    expect(tries).toBeGreaterThan(3)
    world.broken.clear()
    await world.clock.advance(5 * 60_000)
    expect(world.fingerprintOf('mounts')).toBe('aaa')
    expect(world.outcome('wind')).toMatchObject({ status: 'True', reason: 'Propagated' })
    expect(world.patches).toHaveLength(tries + 1)
  })

  it('is tried again with backoff after HTTP 403, and recovers with the permission', async () => {
    const world = new World()
    world.pod('mounts')
    world.broken.set('list', 403)
    world.propagate('wind', 'aaa', immediate)
    await world.clock.advance(60 * 60_000)
    expect(world.lists).toHaveLength(18)
    expect(world.outcome('wind')).toMatchObject({ status: 'False', reason: 'PropagationForbidden' })
    expect(world.outcome('wind')?.message).toContain('install the component deploy/components/consumers')
    world.propagate('wind', 'bbb', immediate)
    await settle()
    expect(world.lists).toHaveLength(19)
    world.broken.clear()
    await world.clock.advance(5 * 60_000)
    expect(world.fingerprintOf('mounts')).toBe('bbb')
    expect(world.outcome('wind')).toMatchObject({ status: 'True', reason: 'Propagated' })
  })
})

describe('propagation to pods, of which one cannot be patched', () => {
  it.each([403, 500])(
    'reaches the others, and only the credential of that pod has the failure: HTTP %i',
    async (code) => {
      const world = new World()
      world.pod('bad')
      world.pod('good')
      world.pod('other', mounting('solar-token'))
      world.refuse(['bad'], code)
      world.propagate('wind', 'aaa', immediate)
      world.propagate('solar', 'bbb', { ...immediate, targets: [{ name: 'solar-token' }] })
      await world.clock.advance(60 * 60_000)
      expect([world.fingerprintOf('bad'), world.fingerprintOf('good'), world.fingerprintOf('other')]).toEqual([
        undefined,
        'aaa',
        'bbb',
      ])
      expect(world.outcome('solar')).toMatchObject({ status: 'True', reason: 'Propagated' })
      expect(world.outcome('wind')).toMatchObject({
        status: 'False',
        reason: code === 403 ? 'PropagationForbidden' : 'PropagationFailed',
      })
      expect(world.patches.filter(({ name }) => name === 'good')).toHaveLength(1)
      const tries = world.patches.filter(({ name }) => name === 'bad').length
      if (code === 403) expect(tries).toBe(18)
      else expect(tries).toBeGreaterThan(18)
    },
  )

  it('names that pod and counts the others', async () => {
    const world = new World()
    world.pod('bad')
    world.pod('good')
    world.refuse(['bad'], 403)
    world.propagate('wind', 'aaa', immediate)
    await settle()
    expect(world.outcome('wind')?.message).toBe(
      'the present token was propagated to 1 pod that mounts a target; the operator lacks the permission to patch Pod bad in namespace plant-a (HTTP 403): install the component deploy/components/consumers (for one namespace: deploy/components/consumers/namespaced); it is tried again within 5 minutes',
    )
  })

  it('reaches the pods of later batches', async () => {
    const world = new World()
    for (let at = 0; at < 35; at++) world.pod(`pod-${at}`)
    world.refuse(['pod-3'], 500)
    world.propagate('wind', 'aaa', immediate)
    await world.clock.advance(400)
    expect(world.fingerprintOf('pod-34')).toBe('aaa')
  })
})

describe('propagation to pods, of a resource that is changed meanwhile', () => {
  it('annotates the pods that mount its new targets', async () => {
    const world = new World()
    world.pod('former')
    world.pod('present', mounting('other-token'))
    world.broken.set('list', 500)
    world.propagate('wind', 'aaa', immediate)
    await settle()
    world.edit('wind', { ...immediate, targets: [{ name: 'other-token' }] })
    world.broken.clear()
    await world.clock.advance(10_000)
    expect([world.fingerprintOf('former'), world.fingerprintOf('present')]).toEqual([undefined, 'aaa'])
  })

  it('ends when the resource no longer asks for it', async () => {
    const world = new World()
    world.pod('mounts')
    world.broken.set('list', 500)
    world.propagate('wind', 'aaa', immediate)
    await settle()
    world.edit('wind', { propagation: 'Kubelet' })
    world.broken.clear()
    await world.clock.advance(60_000)
    expect(world.patches).toEqual([])
    expect(world.outcome('wind')).toEqual({
      status: 'True',
      reason: 'Propagated',
      message: 'no running consumer holds an older token',
    })
  })
})

describe('the outcome of a propagation', () => {
  it('is the failure of one part, whatever the result of the other', async () => {
    const world = new World()
    world.pod('blind', environment)
    world.deployment('bad')
    world.refuse(['bad'], 403)
    world.propagate('wind', 'aaa', { ...immediate, restartOnRenewal: [{ kind: 'Deployment', name: 'bad' }] })
    await world.clock.advance(3000)
    expect(world.outcome('wind')).toMatchObject({ status: 'False', reason: 'PropagationForbidden' })
    expect(world.outcome('wind')?.message).toContain('Pod blind read the token from environment')
  })

  it('is of the newest token only', async () => {
    const world = new World()
    world.propagate('wind', 'aaa', immediate)
    world.propagate('wind', 'bbb', immediate)
    expect(world.consumers.propagation('plant-a/wind')?.fingerprint).toBe('bbb')
    await settle()
    expect(world.outcome('wind')?.reason).toBe('Propagated')
  })

  it('is forgotten with the resource', async () => {
    const world = new World()
    world.propagate('wind', 'aaa', immediate)
    await settle()
    world.consumers.forget('plant-a/wind')
    expect(world.consumers.propagation('plant-a/wind')).toBeUndefined()
  })

  it('stays open when a shutdown ends it, and no more pods are annotated', async () => {
    const world = new World()
    for (let at = 0; at < 25; at++) world.pod(`pod-${at}`)
    world.propagate('wind', 'aaa', immediate)
    await settle()
    const ended = world.consumers.shutDown(50)
    await world.clock.advance(10_000)
    await ended
    expect(world.patches).toHaveLength(10)
    expect(world.outcome('wind')).toBeUndefined()
  })
})
