import { describe, expect, it } from 'vitest'
import { workloadTypes } from '../../../src/consumers/workloads.ts'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import { formatTime } from '../../../src/lib/time.ts'
import { hourMs, minuteMs } from '../../support/builders.ts'
import { settle } from '../../support/fake-clock.ts'
import { namespace, World } from './support.ts'

const restarting = (...names: string[]) => ({
  restartOnRenewal: names.map((name) => ({ kind: 'Deployment', name })),
})
const ref = { namespace, name: 'reports' }
const nothingToDo = 'no running consumer holds an older token'

describe('restartOnRenewal', () => {
  it('restarts a workload as kubectl rollout restart does', async () => {
    const world = new World()
    world.deployment('reports')
    await settle()
    const { metadata } = world.api.all(workloadTypes.Deployment)[0] ?? {}
    world.propagate('wind', 'aaa', restarting('reports'))
    await world.clock.advance(2000)
    expect(world.restartOf('reports')).toBe(formatTime(world.clock.wall()))
    // What came of it is known after a look at the rollout.
    expect(world.outcome('wind')).toBeUndefined()
    await world.clock.advance(1000)
    expect(world.outcome('wind')).toEqual({
      status: 'True',
      reason: 'Propagated',
      message: 'Deployment reports was restarted',
    })
    // For the version that was read.
    expect(world.patches[0]?.metadata).toEqual({
      uid: metadata?.uid,
      resourceVersion: metadata?.resourceVersion,
      annotations: { 'enos.io/restarted-for-uid-wind': 'aaa' },
    })
  })

  it('restarts a workload once for a token, though its Secret was written since', async () => {
    const world = new World()
    world.deployment('reports')
    for (const [fingerprint, restarts] of [
      ['aaa', 1],
      ['aaa', 1],
      ['bbb', 2],
    ] as const) {
      world.propagate('wind', fingerprint, restarting('reports'))
      await world.clock.advance(60_000)
      expect(world.patches).toHaveLength(restarts)
    }
  })

  it('restarts once for tokens that come within two seconds, also while another restart is retried', async () => {
    const world = new World()
    for (const name of ['bad', 'reports']) world.deployment(name)
    world.refuse(['bad'], 500)
    world.propagate('other', 'ccc', restarting('bad'))
    await world.clock.advance(1500)
    world.propagate('wind', 'aaa', restarting('reports'))
    await world.clock.advance(900)
    world.propagate('solar', 'bbb', restarting('reports'))
    await world.clock.advance(minuteMs)
    expect(world.patches.filter(({ name }) => name === 'reports')).toHaveLength(1)
    for (const name of ['wind', 'solar']) expect(world.outcome(name)?.reason).toBe('Propagated')
  })

  it('is retried although the pods of the same resource may not be patched', async () => {
    const world = new World()
    world.deployment('bad')
    world.pod('mounts')
    world.beforePatch = (name) => {
      throw new ApiError('patch', { code: name === 'bad' ? 500 : 403, reason: 'any' })
    }
    world.propagate('wind', 'aaa', { ...restarting('bad'), propagation: 'Immediate' })
    await world.clock.advance(minuteMs)
    expect(world.outcome('wind')).toMatchObject({ status: 'False', reason: 'PropagationFailed' })
  })

  it('does not wait for another restart that fails permanently', async () => {
    const world = new World()
    world.deployment('bad')
    world.deployment('reports')
    world.refuse(['bad'], 500)
    world.propagate('solar', 'bbb', restarting('bad'))
    await world.clock.advance(hourMs)
    const refusal = world.refuse(['bad', 'reports'], 500)
    world.propagate('wind', 'aaa', restarting('reports'))
    await world.clock.advance(2000)
    refusal.isOver = true
    world.refuse(['bad'], 500)
    await world.clock.advance(500)
    expect(world.restartOf('reports')).toBeDefined()
    await world.clock.advance(1000)
    expect(world.outcome('wind')?.reason).toBe('Propagated')
    expect(world.outcome('solar')?.reason).toBe('PropagationFailed')
  })

  it('restarts once for all tokens that come within two seconds', async () => {
    const world = new World()
    world.deployment('reports')
    world.propagate('wind', 'aaa', restarting('reports'))
    await world.clock.advance(1000)
    expect(world.patches).toEqual([])
    world.propagate('solar', 'bbb', restarting('reports'))
    await world.clock.advance(10_000)
    expect(world.patches).toHaveLength(1)
    for (const name of ['wind', 'solar']) {
      expect(world.outcome(name)?.message).toBe('Deployment reports was restarted')
    }
  })

  it('restarts for the token that was written last, in either order of jobs', async () => {
    for (const [first, second] of [
      [20_000, 1000],
      [1000, 20_000],
    ] as const) {
      const world = new World()
      world.deployment('reports')
      world.restartByHand('reports')
      await world.clock.advance(10_000)
      // One token was written before that restart, the other after it.
      world.propagate('wind', 'aaa', restarting('reports'), { agoMs: first })
      world.propagate('solar', 'bbb', restarting('reports'), { agoMs: second })
      await world.clock.advance(3000)
      expect(world.patches).toHaveLength(1)
      for (const name of ['wind', 'solar']) {
        expect(world.outcome(name)?.message).toBe('Deployment reports was restarted')
      }
    }
  })

  it.each([
    ['restarted', true],
    ['created', false],
  ])('leaves a workload alone that was %s after the token was written', async (_, exists) => {
    const world = new World()
    if (exists) world.deployment('reports')
    world.propagate('wind', 'aaa', restarting('reports'))
    await world.clock.advance(1000)
    if (exists) world.restartByHand('reports')
    else world.deployment('reports', {}, 0)
    const before = world.restartOf('reports')
    await world.clock.advance(3000)
    expect(world.patches).toEqual([])
    expect(world.restartOf('reports')).toBe(before)
    expect(world.outcome('wind')?.message).toBe('Deployment reports was restarted since the token was written')
  })

  it('restarts a workload that was created in the same second, maybe before the write', async () => {
    const world = new World()
    world.deployment('reports', {}, 0)
    world.propagate('wind', 'aaa', restarting('reports'))
    await world.clock.advance(3000)
    expect(world.patches).toHaveLength(1)
  })

  it('names workloads that are paused or do not exist', async () => {
    const world = new World()
    world.deployment('paused', { paused: true })
    world.propagate('wind', 'aaa', restarting('paused', 'absent'))
    await world.clock.advance(3000)
    expect(world.patches).toEqual([])
    expect(world.outcome('wind')?.message).toBe(
      'Deployment paused is paused and was not restarted; Deployment absent does not exist',
    )
  })
})

describe('a workload that another client changes between get and patch', () => {
  it('is not restarted again if the other client restarted it', async () => {
    const world = new World()
    world.deployment('reports')
    world.propagate('wind', 'aaa', restarting('reports'))
    world.beforePatch = () => {
      if (world.patches.length === 1) world.restartByHand('reports')
    }
    await world.clock.advance(5000)
    expect(world.patches).toHaveLength(1)
    expect(world.outcome('wind')?.message).toBe('Deployment reports was restarted since the token was written')
  })

  it('is read again and restarted after any other change', async () => {
    const world = new World()
    world.deployment('reports')
    world.propagate('wind', 'aaa', restarting('reports'))
    world.beforePatch = () => {
      if (world.patches.length < 3) {
        world.user.patch(workloadTypes.Deployment, ref, { spec: { replicas: world.patches.length } })
      }
    }
    await world.clock.advance(2000)
    expect(world.patches).toHaveLength(3)
    await world.clock.advance(1000)
    world.patchStatus('reports', { replicas: 2, updatedReplicas: 2 })
    await world.clock.advance(10_000)
    expect(world.outcome('wind')?.message).toBe('Deployment reports was restarted')
  })

  it('is no failure if it was deleted', async () => {
    const world = new World()
    world.deployment('reports')
    world.propagate('wind', 'aaa', restarting('reports'))
    world.beforePatch = () => {
      world.user.delete(workloadTypes.Deployment, ref)
    }
    await world.clock.advance(2000)
    expect(world.outcome('wind')?.message).toBe('Deployment reports does not exist')
  })
})

describe('restartOnRenewal, while the API server refuses', () => {
  it('is retried with backoff, is a condition, and restarts each workload once in the end', async () => {
    const world = new World()
    world.deployment('reports')
    world.deployment('charts')
    world.broken.set('patch', 503)
    world.propagate('wind', 'aaa', restarting('reports', 'charts'))
    await world.clock.advance(30_000)
    expect(world.outcome('wind')).toMatchObject({ status: 'False', reason: 'PropagationFailed' })
    world.broken.clear()
    world.patches.length = 0
    await world.clock.advance(5 * 60_000)
    expect(world.patches.map(({ name }) => name)).toEqual(['reports', 'charts'])
    expect(world.outcome('wind')).toMatchObject({ status: 'True', reason: 'Propagated' })
  })

  it('does not restart a workload again that was restarted before the failure', async () => {
    const world = new World()
    world.deployment('reports')
    world.deployment('charts')
    world.beforePatch = (name) => {
      if (name === 'reports') world.broken.set('get', 500)
    }
    world.propagate('wind', 'aaa', restarting('reports', 'charts'))
    await world.clock.advance(3000)
    world.broken.clear()
    world.beforePatch = () => undefined
    await world.clock.advance(60_000)
    expect(world.patches.map(({ name }) => name)).toEqual(['reports', 'charts'])
    expect(world.outcome('wind')?.message).toBe('Deployment reports was restarted; Deployment charts was restarted')
  })

  it('is tried again with backoff after HTTP 403, and recovers with the permission', async () => {
    const world = new World()
    world.deployment('reports')
    world.broken.set('patch', 403)
    world.propagate('wind', 'aaa', restarting('reports'))
    await world.clock.advance(60 * 60_000)
    expect(world.patches).toHaveLength(18)
    expect(world.outcome('wind')).toMatchObject({ status: 'False', reason: 'PropagationForbidden' })
    // One outcome, however often it is confirmed.
    expect(world.changed).toHaveLength(1)
    world.broken.clear()
    await world.clock.advance(6 * 60_000)
    expect(world.outcome('wind')).toMatchObject({ status: 'True', reason: 'Propagated' })
    expect(world.patches).toHaveLength(19)
  })
})

describe('restartOnRenewal, with one workload that cannot be patched', () => {
  it.each([403, 500])(
    'restarts the others, and only the credential that names it has the failure: HTTP %i',
    async (code) => {
      const world = new World()
      for (const name of ['bad', 'good', 'shared']) world.deployment(name)
      world.refuse(['bad'], code)
      world.propagate('wind', 'aaa', restarting('bad', 'shared'))
      world.propagate('solar', 'bbb', restarting('good', 'shared'))
      await world.clock.advance(60 * 60_000)
      expect(world.restartOf('good')).toBeDefined()
      expect(world.outcome('solar')).toEqual({
        status: 'True',
        reason: 'Propagated',
        message: 'Deployment good was restarted; Deployment shared was restarted',
      })
      const reason = code === 403 ? 'PropagationForbidden' : 'PropagationFailed'
      expect(world.outcome('wind')).toMatchObject({ status: 'False', reason })
      // The others are restarted once, however often the bad one is retried.
      const times = (name: string): number => world.patches.filter((patch) => patch.name === name).length
      expect([times('good'), times('shared')]).toEqual([1, 1])
      if (code === 403) expect(times('bad')).toBe(18)
      else expect(times('bad')).toBeGreaterThan(18)
    },
  )

  it('names the refused workload and the result of the others', async () => {
    const world = new World()
    world.deployment('bad')
    world.deployment('good')
    world.refuse(['bad'], 403)
    world.propagate('wind', 'aaa', restarting('bad', 'good'))
    await world.clock.advance(3000)
    expect(world.outcome('wind')?.message).toBe(
      'Deployment good was restarted; the operator lacks the permission to get and patch Deployment bad in namespace plant-a (HTTP 403): install the component deploy/components/consumers (for one namespace: deploy/components/consumers/namespaced); it is tried again within 5 minutes',
    )
  })

  it('is retried as long as one failure is no refusal', async () => {
    const world = new World()
    for (const name of ['refused', 'broken']) world.deployment(name)
    world.refuse(['refused', 'broken'], 500)
    world.propagate('wind', 'aaa', restarting('refused', 'broken'))
    await world.clock.advance(60_000)
    expect(world.outcome('wind')?.reason).toBe('PropagationFailed')
    world.refuse(['refused'], 403)
    await world.clock.advance(5 * 60_000)
    expect(world.restartOf('broken')).toBeDefined()
    expect(world.outcome('wind')?.reason).toBe('PropagationForbidden')
  })

  it('delays no other token and does not make it fail', async () => {
    const world = new World()
    world.deployment('bad')
    world.deployment('good')
    world.refuse(['bad'], 500)
    world.propagate('wind', 'aaa', restarting('bad'))
    await world.clock.advance(60 * 60_000)
    world.changed.length = 0
    world.propagate('solar', 'bbb', restarting('good'))
    await world.clock.advance(3000)
    expect(world.outcome('solar')).toMatchObject({ status: 'True', reason: 'Propagated' })
    expect(world.changed.filter((key) => key === 'plant-a/solar')).toHaveLength(1)
  })
})

describe('restartOnRenewal, with a clock behind that of the API server', () => {
  it('restarts a workload once', async () => {
    const world = new World()
    world.deployment('good')
    world.deployment('bad')
    const behindMs = 60_000
    world.clock.stepWall(-behindMs)
    world.refuse(['bad'], 500)
    world.propagate('wind', 'aaa', restarting('good', 'bad'), { agoMs: -behindMs })
    await world.clock.advance(50_000)
    expect(world.patches.filter(({ name }) => name === 'good')).toHaveLength(1)
  })
})

describe('restartOnRenewal of a resource that is changed meanwhile', () => {
  it('restarts the workloads that the resource names now', async () => {
    const world = new World()
    world.deployment('former')
    world.deployment('present')
    world.propagate('wind', 'aaa', restarting('former'))
    await world.clock.advance(1000)
    world.edit('wind', restarting('present'))
    await world.clock.advance(3000)
    expect(world.patches.map(({ name }) => name)).toEqual(['present'])
    expect(world.outcome('wind')?.message).toBe('Deployment present was restarted')
  })

  it('does not retry a workload that the resource no longer names', async () => {
    const world = new World()
    world.deployment('bad')
    const refusal = world.refuse(['bad'], 500)
    world.propagate('wind', 'aaa', restarting('bad'))
    await world.clock.advance(20_000)
    expect(world.outcome('wind')?.reason).toBe('PropagationFailed')
    world.edit('wind', { restartOnRenewal: [], propagation: 'Immediate' })
    refusal.isOver = true
    await world.clock.advance(5 * 60_000)
    expect(world.restartOf('bad')).toBeUndefined()
    expect(world.outcome('wind')).toEqual({ status: 'True', reason: 'Propagated', message: nothingToDo })
  })

  it.each<[string, (world: World) => void]>([
    ['deleted', (world) => world.credentials.clear()],
    ['replaced by another of its name', (world) => world.edit('wind', restarting('reports'), 'uid-of-another')],
    [
      'being deleted',
      (world) => {
        for (const [key, one] of world.credentials) world.credentials.set(key, { ...one, isDeleting: true })
      },
    ],
    [
      'invalid',
      (world) => {
        for (const [key, one] of world.credentials) {
          world.credentials.set(key, { ...one, spec: undefined, problems: ['spec: unknown'] })
        }
      },
    ],
  ])('restarts nothing for a resource that is %s', async (_, happen) => {
    const world = new World()
    world.deployment('reports')
    world.propagate('wind', 'aaa', restarting('reports'))
    await world.clock.advance(1000)
    happen(world)
    await world.clock.advance(60_000)
    expect(world.patches).toEqual([])
    // So that the token is propagated anew, should the spec still ask for it.
    expect(world.consumers.propagation('plant-a/wind')).toBeUndefined()
  })
})
