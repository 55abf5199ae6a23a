import { describe, expect, it } from 'vitest'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import { formatTime } from '../../../src/lib/time.ts'
import { hourMs, minuteMs } from '../../support/builders.ts'
import { settle } from '../../support/fake-clock.ts'
import { mounting, World } from './support.ts'

const immediate = { propagation: 'Immediate' }
const restarting = { restartOnRenewal: [{ kind: 'Deployment', name: 'reports' }] }
const secret = (optional: boolean) => ({ name: 'enos-token', optional })
const environment = (optional: boolean) => ({ containers: [{ name: 'c', envFrom: [{ secretRef: secret(optional) }] }] })
const volume = (optional: boolean) => ({
  volumes: [{ name: 'v', projected: { sources: [{ secret: secret(optional) }] } }],
  containers: [{ name: 'c', volumeMounts: [{ name: 'v' }] }],
})
const running = (startedAt: string) => ({ containerStatuses: [{ name: 'c', state: { running: { startedAt } } }] })

/** A pod that was created `agoMs` before now, with a status. */
function pod(world: World, name: string, spec: object, agoMs = minuteMs, status: object = {}): void {
  const creationTimestamp = formatTime(world.clock.wall() - agoMs)
  world.pod(name, spec, { creationTimestamp }, undefined, status)
}

describe('the first token of a resource', () => {
  it('is propagated to pods that were created before it with an optional volume, and to no others', async () => {
    const world = new World()
    pod(world, 'early', volume(true))
    pod(world, 'waiting', volume(false))
    pod(world, 'late', volume(true), 0)
    world.propagate('wind', 'aaa', immediate, { occasion: 'firstToken' })
    await settle()
    expect(world.patches.map(({ name }) => name)).toEqual(['early'])
    expect(world.outcome('wind')).toEqual({
      status: 'True',
      reason: 'Propagated',
      message: 'the first token was propagated to 1 pod created before it',
    })
  })

  it('names pods that started without it, by an optional variable', async () => {
    const world = new World()
    const [before, after] = [-minuteMs, minuteMs].map((ms) => formatTime(world.clock.wall() + ms))
    pod(world, 'early', environment(true))
    pod(world, 'started', environment(true), 2 * minuteMs, running(before ?? ''))
    pod(world, 'required', environment(false))
    pod(world, 'late', environment(true), 0)
    pod(world, 'slow', environment(true), minuteMs, running(after ?? ''))
    world.propagate('wind', 'aaa', immediate, { occasion: 'firstToken' })
    await settle()
    expect(world.outcome('wind')).toMatchObject({ status: 'True', reason: 'ConsumersNeedRestart' })
    expect(world.outcome('wind')?.message).toMatch(/^Pod early, Pod started read the token from environment/)
  })

  it.each<[string, object, number, number]>([
    ['an optional variable, created before', environment(true), hourMs, 1],
    ['an optional variable, created after', environment(true), 0, 0],
    ['a required variable', environment(false), hourMs, 0],
    ['an optional volume, which the kubelet updates', volume(true), hourMs, 0],
    ['no use of the target', { containers: [{ name: 'c' }] }, hourMs, 0],
  ])('restarts a workload with %s: %#', async (_, spec, agoMs, restarts) => {
    const world = new World()
    world.deployment('reports', { template: { spec } }, agoMs)
    world.propagate('wind', 'aaa', restarting, { occasion: 'firstToken' })
    await world.clock.advance(minuteMs)
    expect(world.patches).toHaveLength(restarts)
    expect(world.outcome('wind')).toMatchObject({ status: 'True', reason: 'Propagated' })
    await world.clock.advance(hourMs)
    expect(world.patches).toHaveLength(restarts)
  })

  it('names a workload that does not exist, and a missing permission, before any renewal', async () => {
    const world = new World()
    world.propagate('wind', 'aaa', restarting, { occasion: 'firstToken' })
    await world.clock.advance(2000)
    expect(world.outcome('wind')).toMatchObject({ status: 'False', reason: 'WorkloadNotFound' })
    world.broken.set('get', 403)
    world.propagate('solar', 'bbb', restarting, { occasion: 'firstToken' })
    await world.clock.advance(2000)
    expect(world.outcome('solar')).toMatchObject({ status: 'False', reason: 'PropagationForbidden' })
    expect(world.outcome('solar')?.message).toContain('lacks the permission to get and patch Deployment reports')
  })
})

describe('a changed spec', () => {
  const change = { occasion: 'specChange', generation: 2 } as const

  it('is looked at without a restart and without an annotation', async () => {
    const world = new World()
    pod(world, 'mounts', mounting())
    world.deployment('reports')
    world.propagate('wind', 'aaa', { ...immediate, ...restarting }, change)
    await world.clock.advance(minuteMs)
    expect(world.patches).toEqual([])
    expect(world.consumers.propagation('plant-a/wind')).toEqual({
      fingerprint: 'aaa',
      generation: 2,
      isSilent: true,
      outcome: { status: 'True', reason: 'Propagated', message: 'no running consumer holds an older token' },
    })
  })

  it('names a workload that does not exist', async () => {
    const world = new World()
    world.propagate('wind', 'aaa', restarting, change)
    await world.clock.advance(2000)
    expect(world.outcome('wind')?.reason).toBe('WorkloadNotFound')
  })

  it('still knows that another controller took a restart off the template', async () => {
    const world = new World()
    world.deployment('reports')
    world.propagate('wind', 'aaa', restarting)
    await world.clock.advance(2000)
    world.user.patch(
      { group: 'apps', version: 'v1', kind: 'Deployment', plural: 'deployments' },
      { namespace: 'plant-a', name: 'reports' },
      { spec: { template: null } },
    )
    await world.clock.advance(minuteMs)
    world.propagate('wind', 'aaa', restarting, change)
    await world.clock.advance(minuteMs)
    expect(world.outcome('wind')?.reason).toBe('ConsumersNeedRestart')
    expect(world.patches).toHaveLength(1)
  })

  it('does not end the propagation of a token that is under way', async () => {
    const world = new World()
    world.deployment('reports')
    world.propagate('wind', 'aaa', restarting)
    await world.clock.advance(1000)
    world.propagate('wind', 'aaa', restarting, change)
    await world.clock.advance(minuteMs)
    expect(world.patches).toHaveLength(1)
    expect(world.consumers.propagation('plant-a/wind')?.generation).toBe(2)
  })

  it('is tried at once where the old one waited for a person', async () => {
    const world = new World()
    world.deployment('reports')
    world.propagate('wind', 'aaa', { restartOnRenewal: [{ kind: 'Deployment', name: 'report' }] })
    await world.clock.advance(3000)
    expect(world.outcome('wind')?.reason).toBe('WorkloadNotFound')
    world.propagate('wind', 'aaa', restarting, change)
    await world.clock.advance(2000)
    expect(world.patches.map(({ name }) => name)).toEqual(['reports'])
    expect(world.outcome('wind')?.reason).toBe('Propagated')
  })
})

describe('a renewal', () => {
  it('does not name pods that started after the write', async () => {
    const world = new World()
    const after = formatTime(world.clock.wall() + minuteMs)
    pod(world, 'restarted', environment(false), hourMs, running(after))
    pod(world, 'waits', environment(false), hourMs, { containerStatuses: [{ name: 'c', state: {} }] })
    world.propagate('wind', 'aaa', immediate)
    await settle()
    expect(world.outcome('wind')?.reason).toBe('Propagated')
  })

  it.each<[string, object, string]>([
    [
      'only mounts',
      {
        volumes: [{ name: 'v', secret: { secretName: 'enos-token' } }],
        initContainers: [{ name: 'i', volumeMounts: [{ name: 'v' }] }],
        containers: [{ name: 'c' }],
      },
      'ConsumersNeedRestart',
    ],
    [
      'only reads from its environment',
      { initContainers: [{ name: 'i', envFrom: [{ secretRef: secret(false) }] }], containers: [{ name: 'c' }] },
      'ConsumersNeedRestart',
    ],
    [
      'mounts beside a container',
      {
        volumes: [{ name: 'v', secret: { secretName: 'enos-token' } }],
        initContainers: [{ name: 'i', volumeMounts: [{ name: 'v' }] }],
        containers: [{ name: 'c', volumeMounts: [{ name: 'v' }] }],
      },
      'Propagated',
    ],
    [
      'mounts as a sidecar',
      {
        volumes: [{ name: 'v', secret: { secretName: 'enos-token' } }],
        initContainers: [{ name: 'i', restartPolicy: 'Always', volumeMounts: [{ name: 'v' }] }],
        containers: [{ name: 'c' }],
      },
      'Propagated',
    ],
  ])('meets an init container that %s the target', async (_, spec, reason) => {
    const world = new World()
    pod(world, 'copies', spec, hourMs)
    world.propagate('wind', 'aaa', immediate)
    await settle()
    expect(world.outcome('wind')?.reason).toBe(reason)
    expect(world.outcome('wind')?.message.includes('Pod copies')).toBe(reason !== 'Propagated')
  })
})

describe('a refusal', () => {
  const denied = (verdict: 'denied' | 'failed', code: number): ApiError =>
    new ApiError('patch', {
      code,
      reason: 'Invalid',
      admissionDenial: { kind: 'admission webhook', name: 'freeze.example.com', verdict },
    })

  it.each([403, 400, 422])('by a webhook is told by its name, with no word of permissions: HTTP %i', async (code) => {
    const world = new World()
    world.deployment('reports')
    world.beforePatch = () => {
      throw denied('denied', code)
    }
    world.propagate('wind', 'aaa', restarting)
    await world.clock.advance(2000)
    expect(world.outcome('wind')).toEqual({
      status: 'False',
      reason: 'PropagationForbidden',
      message: `admission webhook "freeze.example.com" denied the request to get and patch Deployment reports in namespace plant-a (HTTP ${code})`,
    })
  })

  it('by nothing that has a name is told without a guess', async () => {
    const world = new World()
    world.pod('mounts')
    world.beforePatch = () => {
      throw new ApiError('patch', { code: 403, reason: 'Forbidden' })
    }
    world.propagate('wind', 'aaa', immediate)
    await settle()
    expect(world.outcome('wind')?.message).toContain(
      'the API server refuses to let the operator patch Pod mounts in namespace plant-a (HTTP 403): look at admission plugins, quotas and proxies',
    )
  })

  it('is one note for each cause', async () => {
    const world = new World()
    for (const name of ['one', 'two', 'three']) world.pod(name)
    world.beforePatch = (name) => {
      throw name === 'two'
        ? denied('denied', 403)
        : new ApiError('patch', { code: 403, reason: 'Forbidden', isPermissionMissing: true })
    }
    world.propagate('wind', 'aaa', immediate)
    await settle()
    const message = world.outcome('wind')?.message ?? ''
    expect(message).toContain('lacks the permission to patch Pod one, Pod three in namespace')
    expect(message).toContain('admission webhook "freeze.example.com" denied the request to patch Pod two in namespace')
  })

  it('is a failure that is retried where the webhook could not be called', async () => {
    const world = new World()
    world.pod('mounts')
    world.beforePatch = () => {
      throw denied('failed', 500)
    }
    world.propagate('wind', 'aaa', immediate)
    await world.clock.advance(10_000)
    expect(world.outcome('wind')).toMatchObject({ status: 'False', reason: 'PropagationFailed' })
    expect(world.outcome('wind')?.message).toContain('admission webhook "freeze.example.com" could not be called')
  })
})
