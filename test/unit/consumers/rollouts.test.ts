import { describe, expect, it } from 'vitest'
import { workloadTypes } from '../../../src/consumers/workloads.ts'
import { minuteMs } from '../../support/builders.ts'
import { namespace, World } from './support.ts'

const restarting = (...names: string[]) => ({
  restartOnRenewal: names.map((name) => ({ kind: 'Deployment', name })),
})
const ref = { namespace, name: 'reports' }
const mark = 'enos.io/restarted-for-uid-wind'

/** Takes the restart off the template, as an operator does that owns it. */
function resetTemplate(world: World): void {
  const annotations = { 'kubectl.kubernetes.io/restartedAt': null, [mark]: null }
  world.user.patch(workloadTypes.Deployment, ref, { spec: { template: { metadata: { annotations } } } })
}

/** A world whose Deployment was told to restart three seconds ago. */
async function restarted(spec: object = {}, status?: object): Promise<World> {
  const world = new World()
  world.deploymentStatus = status
  world.deployment('reports', spec)
  world.propagate('wind', 'aaa', restarting('reports'))
  await world.clock.advance(2000)
  expect(world.patches).toHaveLength(1)
  return world
}

describe('the rollout of a restarted workload', () => {
  it('is not looked at again once all pods are replaced', async () => {
    const world = await restarted({}, { replicas: 1, updatedReplicas: 1 })
    await world.clock.advance(1000)
    expect(world.outcome('wind')?.reason).toBe('Propagated')
    const calls = world.api.calls.length
    await world.clock.advance(60 * minuteMs)
    expect(world.api.calls).toHaveLength(calls)
  })

  it('is propagated while it is under way, and needs a restart if it does not end within nine minutes', async () => {
    const world = await restarted({ replicas: 2 }, { replicas: 3, updatedReplicas: 1 })
    await world.clock.advance(8 * minuteMs)
    expect(world.outcome('wind')).toMatchObject({ reason: 'Propagated', message: 'Deployment reports was restarted' })
    await world.clock.advance(2 * minuteMs)
    expect(world.outcome('wind')).toEqual({
      status: 'True',
      reason: 'ConsumersNeedRestart',
      message: 'Deployment reports was restarted, but after nine minutes some of its pods are not replaced yet',
    })
    const calls = world.api.calls.length
    await world.clock.advance(60 * minuteMs)
    expect(world.api.calls).toHaveLength(calls)
    // Two outcomes: nothing is told anew for each look.
    expect(world.changed).toHaveLength(2)
  })

  it('needs a restart once its controller has not acted for 18 s, and recovers', async () => {
    const world = await restarted()
    await world.clock.advance(10_000)
    expect(world.outcome('wind')).toMatchObject({ reason: 'Propagated', message: 'Deployment reports was restarted' })
    await world.clock.advance(10_000)
    expect(world.outcome('wind')).toMatchObject({
      reason: 'ConsumersNeedRestart',
      message: 'Deployment reports was restarted, but its controller has not acted on that',
    })
    const { generation } = world.api.find(workloadTypes.Deployment, ref)?.metadata ?? {}
    world.patchStatus('reports', { observedGeneration: generation, replicas: 1, updatedReplicas: 1 })
    await world.clock.advance(minuteMs)
    expect(world.outcome('wind')).toMatchObject({ reason: 'Propagated', message: 'Deployment reports was restarted' })
  })

  it('needs a restart when it exceeded its progress deadline', async () => {
    const conditions = [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }]
    const world = await restarted({}, { replicas: 2, updatedReplicas: 1, conditions })
    await world.clock.advance(minuteMs)
    expect(world.outcome('wind')?.message).toBe(
      'Deployment reports was restarted, but its rollout exceeded the progress deadline',
    )
  })

  it('needs a restart when another controller resets the template, and is not restarted twice', async () => {
    const world = await restarted({}, { replicas: 1, updatedReplicas: 1 })
    resetTemplate(world)
    await world.clock.advance(1000)
    expect(world.outcome('wind')).toEqual({
      status: 'True',
      reason: 'ConsumersNeedRestart',
      message: 'Deployment reports was not restarted: another controller took the restart off its pod template',
    })
    await world.clock.advance(60 * minuteMs)
    expect(world.patches).toHaveLength(1)
    // A next process takes the same token up again, by the mark on the workload.
    world.consumers.forget('plant-a/wind')
    world.propagate('wind', 'aaa', restarting('reports'))
    await world.clock.advance(60 * minuteMs)
    expect(world.patches).toHaveLength(1)
    expect(world.outcome('wind')?.reason).toBe('ConsumersNeedRestart')
    world.propagate('wind', 'bbb', restarting('reports'))
    await world.clock.advance(minuteMs)
    expect(world.patches).toHaveLength(2)
    expect(world.outcome('wind')?.reason).toBe('Propagated')
  })

  it('is not made twice where another client replaces the whole object, marks and all', async () => {
    const world = await restarted({}, { replicas: 1, updatedReplicas: 1 })
    resetTemplate(world)
    world.user.patch(workloadTypes.Deployment, ref, { metadata: { annotations: { [mark]: null } } })
    await world.clock.advance(60 * minuteMs)
    expect(world.patches).toHaveLength(1)
    expect(world.outcome('wind')?.message).toContain('another controller took the restart off its pod template')
    world.propagate('wind', 'bbb', restarting('reports'))
    await world.clock.advance(minuteMs)
    expect(world.patches).toHaveLength(2)
  })

  it('leaves at most 33 marks on a workload and its template', async () => {
    const world = new World()
    world.deployment('reports')
    const marks = (): number[] => {
      const { metadata, spec } = world.api.find(workloadTypes.Deployment, ref) ?? { metadata: {} }
      const template = (spec as { template?: { metadata: { annotations: object } } }).template?.metadata.annotations
      return [metadata.annotations, template].map(
        (annotations) => Object.keys(annotations ?? {}).filter((name) => name.startsWith('enos.io/')).length,
      )
    }
    const counts: number[] = []
    for (let at = 0; at < 100; at++) {
      world.propagate(`wind-${at}`, 'aaa', restarting('reports'))
      await world.clock.advance(10_000)
      counts.push(...marks())
      world.consumers.forget(`plant-a/wind-${at}`)
    }
    expect(Math.max(...counts)).toBe(33)
    expect(world.patches).toHaveLength(100)
  })

  it('is done when a person restarts the workload after a reset', async () => {
    const world = await restarted({}, { replicas: 1, updatedReplicas: 1 })
    resetTemplate(world)
    await world.clock.advance(500)
    world.restartByHand('reports')
    await world.clock.advance(minuteMs)
    expect(world.outcome('wind')?.reason).toBe('Propagated')
  })

  it.each([
    ['updateStrategy', { updateStrategy: { type: 'OnDelete' } }, 'has updateStrategy OnDelete: its pods hold'],
    [
      'partition',
      { updateStrategy: { rollingUpdate: { partition: 2 } } },
      'has a rollingUpdate.partition: its pods below that ordinal hold',
    ],
  ])('needs a restart by its own %s until the pods were deleted by hand', async (_, spec, text) => {
    const world = await restarted({ ...spec, replicas: 3 }, { replicas: 3, updatedReplicas: 0 })
    await world.clock.advance(1000)
    expect(world.outcome('wind')).toMatchObject({ status: 'True', reason: 'ConsumersNeedRestart' })
    expect(world.outcome('wind')?.message).toContain(`Deployment reports ${text}`)
    world.patchStatus('reports', { replicas: 3, updatedReplicas: 3 })
    await world.clock.advance(minuteMs)
    expect(world.outcome('wind')?.reason).toBe('Propagated')
    expect(world.patches).toHaveLength(1)
  })

  it('is complete for a workload with no pods', async () => {
    const world = await restarted({ replicas: 0 }, { replicas: 0 })
    await world.clock.advance(1000)
    expect(world.outcome('wind')?.reason).toBe('Propagated')
  })

  it('does not delay the restart of another workload, nor have it earlier than its debounce', async () => {
    const world = await restarted({}, { replicas: 2, updatedReplicas: 1 })
    world.deployment('charts')
    await world.clock.advance(500)
    world.propagate('solar', 'bbb', restarting('reports', 'charts'))
    await world.clock.advance(1999)
    expect(world.patches).toHaveLength(1)
    await world.clock.advance(1)
    expect(world.patches.map(({ name }) => name)).toEqual(['reports', 'reports', 'charts'])
  })
})

describe('a paused Deployment', () => {
  it('needs a restart, and is restarted when it is resumed soon', async () => {
    const world = new World()
    world.deployment('reports', { paused: true })
    world.propagate('wind', 'aaa', restarting('reports'))
    await world.clock.advance(3000)
    expect(world.patches).toEqual([])
    expect(world.outcome('wind')).toEqual({
      status: 'True',
      reason: 'ConsumersNeedRestart',
      message: 'Deployment reports is paused and was not restarted',
    })
    world.user.patch(workloadTypes.Deployment, ref, { spec: { paused: false } })
    await world.clock.advance(minuteMs)
    expect(world.patches).toHaveLength(1)
    expect(world.outcome('wind')).toMatchObject({ reason: 'Propagated', message: 'Deployment reports was restarted' })
  })
})

describe('a DaemonSet', () => {
  it.each([
    [3, 'Propagated'],
    [2, 'ConsumersNeedRestart'],
  ])('with %i of 3 pods replaced is %s after nine minutes', async (updatedNumberScheduled, reason) => {
    const world = new World()
    const status = { desiredNumberScheduled: 3, currentNumberScheduled: 3, updatedNumberScheduled }
    const metadata = { name: 'agent', creationTimestamp: '2020-01-01T00:00:00Z' }
    world.user.create(workloadTypes.DaemonSet, namespace, { metadata, spec: {} })
    world.propagate('wind', 'aaa', { restartOnRenewal: [{ kind: 'DaemonSet', name: 'agent' }] })
    await world.clock.advance(2000)
    const patch = { type: 'merge', body: { status: { ...status, observedGeneration: 2 } } } as const
    await world.api.patch(workloadTypes.DaemonSet, { namespace, name: 'agent' }, patch, { subresource: 'status' })
    await world.clock.advance(10 * minuteMs)
    expect(world.outcome('wind')?.reason).toBe(reason)
  })
})

describe('a workload that does not exist', () => {
  it('is a failure, and is looked for with backoff', async () => {
    const world = new World()
    world.propagate('wind', 'aaa', restarting('reports'))
    await world.clock.advance(3000)
    expect(world.outcome('wind')).toEqual({
      status: 'False',
      reason: 'WorkloadNotFound',
      message: 'Deployment reports does not exist',
    })
    await world.clock.advance(60 * minuteMs)
    expect(world.api.calls.filter(({ verb }) => verb === 'get')).toHaveLength(18)
    world.deployment('reports', {}, 0)
    await world.clock.advance(5 * minuteMs)
    expect(world.outcome('wind')?.reason).toBe('Propagated')
    expect(world.patches).toEqual([])
  })
})
