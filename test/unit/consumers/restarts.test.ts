import { describe, expect, it } from 'vitest'
import { workloadTypes } from '../../../src/consumers/workloads.ts'
import { formatTime } from '../../../src/lib/time.ts'
import { namespace, World } from './support.ts'

const restarting = (...names: string[]) => ({
  restartOnRenewal: names.map((name) => ({ kind: 'Deployment', name })),
})
const ref = { namespace, name: 'reports' }

describe('restartOnRenewal', () => {
  it('restarts a workload as kubectl rollout restart does', async () => {
    const world = new World()
    world.deployment('reports')
    const { metadata } = world.api.all(workloadTypes.Deployment)[0] ?? {}
    world.publish('wind', 'aaa', restarting('reports'))
    await world.clock.advance(2000)
    expect(world.restartOf('reports')).toBe(formatTime(world.clock.wall()))
    expect(world.outcome('wind')).toEqual({
      status: 'True',
      reason: 'Propagated',
      message: 'Deployment reports: was restarted',
    })
    // For the version that was looked at.
    expect(world.patches[0]?.metadata).toEqual({ uid: metadata?.uid, resourceVersion: metadata?.resourceVersion })
  })

  it('restarts once for all tokens that come within two seconds', async () => {
    const world = new World()
    world.deployment('reports')
    world.publish('wind', 'aaa', restarting('reports'))
    await world.clock.advance(1000)
    expect(world.patches).toEqual([])
    world.publish('solar', 'bbb', restarting('reports'))
    await world.clock.advance(10_000)
    expect(world.patches).toHaveLength(1)
    for (const name of ['wind', 'solar']) {
      expect(world.outcome(name)?.message).toBe('Deployment reports: was restarted')
    }
  })

  it('restarts for the token that was written last, whichever job comes first', async () => {
    for (const [first, second] of [
      [20_000, 1000],
      [1000, 20_000],
    ] as const) {
      const world = new World()
      world.deployment('reports')
      world.restartByHand('reports')
      await world.clock.advance(10_000)
      // One token was written before that restart, the other after it.
      world.publish('wind', 'aaa', restarting('reports'), { agoMs: first })
      world.publish('solar', 'bbb', restarting('reports'), { agoMs: second })
      await world.clock.advance(3000)
      expect(world.patches).toHaveLength(1)
      for (const name of ['wind', 'solar']) {
        expect(world.outcome(name)?.message).toBe('Deployment reports: was restarted')
      }
    }
  })

  it.each([
    ['restarted', true],
    ['made', false],
  ])('leaves alone what was %s after the token was written', async (_, isThere) => {
    const world = new World()
    if (isThere) world.deployment('reports')
    world.publish('wind', 'aaa', restarting('reports'))
    await world.clock.advance(1000)
    if (isThere) world.restartByHand('reports')
    else world.deployment('reports', {}, 0)
    const before = world.restartOf('reports')
    await world.clock.advance(3000)
    expect(world.patches).toEqual([])
    expect(world.restartOf('reports')).toBe(before)
    expect(world.outcome('wind')?.message).toBe('Deployment reports: was restarted since the token was written')
  })

  it('restarts what was made in the same second: that may have been before', async () => {
    const world = new World()
    world.deployment('reports', {}, 0)
    world.publish('wind', 'aaa', restarting('reports'))
    await world.clock.advance(3000)
    expect(world.patches).toHaveLength(1)
  })

  it('says what is paused and what is not there', async () => {
    const world = new World()
    world.deployment('paused', { paused: true })
    world.publish('wind', 'aaa', restarting('paused', 'absent'))
    await world.clock.advance(3000)
    expect(world.patches).toEqual([])
    expect(world.outcome('wind')?.message).toBe(
      'Deployment paused: is paused, and was not restarted; Deployment absent: is not there',
    )
  })
})

describe('when somebody changes the workload between look and patch', () => {
  it('a restart of theirs is enough', async () => {
    const world = new World()
    world.deployment('reports')
    world.publish('wind', 'aaa', restarting('reports'))
    world.beforePatch = () => {
      if (world.patches.length === 1) world.restartByHand('reports')
    }
    await world.clock.advance(5000)
    expect(world.patches).toHaveLength(1)
    expect(world.outcome('wind')?.message).toBe('Deployment reports: was restarted since the token was written')
  })

  it('another change is looked at, and it is restarted all the same', async () => {
    const world = new World()
    world.deployment('reports')
    world.publish('wind', 'aaa', restarting('reports'))
    world.beforePatch = () => {
      if (world.patches.length < 3) {
        world.user.patch(workloadTypes.Deployment, ref, { spec: { replicas: world.patches.length } })
      }
    }
    await world.clock.advance(2000)
    expect(world.patches).toHaveLength(3)
    expect(world.outcome('wind')?.message).toBe('Deployment reports: was restarted')
  })

  it('its deletion is no failure', async () => {
    const world = new World()
    world.deployment('reports')
    world.publish('wind', 'aaa', restarting('reports'))
    world.beforePatch = () => {
      world.user.delete(workloadTypes.Deployment, ref)
    }
    await world.clock.advance(2000)
    expect(world.outcome('wind')?.message).toBe('Deployment reports: is not there')
  })
})

describe('when the API server does not let it', () => {
  it('tries on with backoff, says so, and restarts each workload once in the end', async () => {
    const world = new World()
    world.deployment('reports')
    world.deployment('charts')
    world.broken.set('patch', 503)
    world.publish('wind', 'aaa', restarting('reports', 'charts'))
    await world.clock.advance(30_000)
    expect(world.outcome('wind')).toMatchObject({ status: 'False', reason: 'PropagationFailed' })
    world.broken.clear()
    world.patches.length = 0
    await world.clock.advance(5 * 60_000)
    expect(world.patches.map(({ name }) => name)).toEqual(['reports', 'charts'])
    expect(world.outcome('wind')).toMatchObject({ status: 'True', reason: 'Propagated' })
  })

  it('what was restarted before the failure is not restarted again', async () => {
    const world = new World()
    world.deployment('reports')
    world.deployment('charts')
    world.beforePatch = (name) => {
      if (name === 'reports') world.broken.set('get', 500)
    }
    world.publish('wind', 'aaa', restarting('reports', 'charts'))
    await world.clock.advance(3000)
    world.broken.clear()
    world.beforePatch = () => undefined
    await world.clock.advance(60_000)
    expect(world.patches.map(({ name }) => name)).toEqual(['reports', 'charts'])
    expect(world.outcome('wind')?.message).toBe(
      'Deployment reports: was restarted since the token was written; Deployment charts: was restarted',
    )
  })

  it('what is forbidden is not asked again before the next token', async () => {
    const world = new World()
    world.deployment('reports')
    world.broken.set('patch', 403)
    world.publish('wind', 'aaa', restarting('reports'))
    await world.clock.advance(60 * 60_000)
    expect(world.patches).toHaveLength(1)
    expect(world.outcome('wind')).toMatchObject({ status: 'False', reason: 'PropagationForbidden' })
  })
})
