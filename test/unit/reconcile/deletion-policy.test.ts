import { describe, expect, it, onTestFinished } from 'vitest'
import { secrets } from '../../../src/kubernetes/types.ts'
import { hourMs, type SpecInput } from '../../support/builders.ts'
import type { ApiCall } from '../../support/memory-api.ts'
import { OperatorWorld } from './operator-world.ts'

const name = 'a-token'
const finalizer = 'enos.io/merge-cleanup'
const retained = { targets: [{ name, deletionPolicy: 'Retain' }] }

/** A synced credential `a`. */
async function newWorld(spec: SpecInput = {}): Promise<OperatorWorld> {
  const world = new OperatorWorld()
  onTestFinished(async () => {
    await world.operator?.kill()
  })
  world.addCredential('a', spec)
  await world.start()
  return world
}

/** Changes only deletionPolicy of the targets. */
function setPolicy(world: OperatorWorld, deletionPolicy: 'Delete' | 'Retain'): void {
  const { targets } = world.credential('a')?.spec as { targets: object[] }
  world.changeSpec('a', { targets: targets.map((target) => ({ ...target, deletionPolicy })) })
}

const isPatch = ({ name: of, plural, verb }: ApiCall): boolean =>
  plural === 'secrets' && of === name && verb === 'patch'

/** Obstacles to the write of a token. */
const obstacles: [string, (world: OperatorWorld) => void][] = [
  ['without an obstacle', () => undefined],
  [
    'while suspended',
    (world) => {
      world.changeSpec('a', { suspend: true })
    },
  ],
  [
    'while a source is missing',
    (world) => {
      world.deleteSecret('app')
    },
  ],
  [
    'while the gateway is unreachable',
    (world) => {
      world.stopGateway()
    },
  ],
  [
    'while a template is broken',
    (world) => {
      const { targets } = world.credential('a')?.spec as { targets: object[] }
      const data = { accessToken: '{{ nope }}' }
      world.changeSpec('a', { targets: targets.map((target) => ({ ...target, data })) })
    },
  ],
]

describe('the operator: deletionPolicy changed on a written target', () => {
  it.each(obstacles)(
    'a change to Retain %s applies at once, so that the Secret outlives the resource',
    async (_, hinder) => {
      const world = await newWorld()
      hinder(world)
      await world.clock.advance(1000)
      const before = world.secret(name)?.data
      setPolicy(world, 'Retain')
      await world.clock.advance(1000)
      expect(world.secret(name)?.metadata.ownerReferences).toEqual([])
      world.deleteCredential('a')
      await world.clock.advance(1000)
      expect(world.credential('a')).toBeUndefined()
      expect(world.secret(name)).toMatchObject({
        data: before,
        metadata: { annotations: { 'enos.io/credential': 'a' } },
      })
    },
  )

  it.each(obstacles)(
    'a change to Retain and back to Delete %s deletes the Secret with the resource',
    async (_, hinder) => {
      const world = await newWorld(retained)
      hinder(world)
      await world.clock.advance(1000)
      setPolicy(world, 'Delete')
      await world.clock.advance(1000)
      const { annotations = {}, ownerReferences } = world.secret(name)?.metadata ?? {}
      expect(ownerReferences).toMatchObject([{ kind: 'EnosAppCredential', name: 'a', controller: true }])
      expect(Object.keys(annotations)).not.toContain('enos.io/credential-uid')
      world.deleteCredential('a')
      await world.clock.advance(1000)
      expect(world.secret(name)).toBeUndefined()
    },
  )

  it('a change to Retain takes one write, and needs no finalizer', async () => {
    const world = await newWorld()
    const before = world.api.calls.length
    world.changeSpec('a', retained)
    await world.clock.advance(20 * 60_000)
    expect(world.api.calls.slice(before).filter(isPatch)).toHaveLength(1)
    expect(world.credential('a')?.metadata.finalizers ?? []).toEqual([])
    expect(world.conditions('a')).toContain('Ready=True/Synced')
    expect(world.status('a').targets).toMatchObject([
      { deletionPolicy: 'Retain', resourceVersion: world.secret(name)?.metadata.resourceVersion },
    ])
  })

  it('a change to Retain hides no drift, which is corrected afterwards', async () => {
    const world = await newWorld()
    world.changeSpec('a', { suspend: true })
    await world.clock.advance(1000)
    world.changeSecret(name, { accessToken: 'forged' })
    world.changeSpec('a', retained)
    await world.clock.advance(1000)
    expect(world.conditions('a')).toContain('Ready=False/Suspended')
    world.changeSpec('a', { suspend: false })
    await world.clock.advance(5000)
    expect(world.isValid(name)).toBe(true)
    expect(world.conditions('a')).toContain('Ready=True/Synced')
  })

  it('a change to Retain applies together with a change to Merge', async () => {
    const world = await newWorld()
    world.deleteSecret('app')
    world.changeSpec('a', { targets: [{ name, creationPolicy: 'Merge', deletionPolicy: 'Retain' }] })
    await world.clock.advance(1000)
    world.deleteCredential('a')
    await world.clock.advance(1000)
    expect(world.secret(name)).toBeDefined()
  })

  it('a change to Retain keeps the owner references of other objects', async () => {
    const world = await newWorld()
    const other = { apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'uid-x' }
    const own = world.secret(name)?.metadata.ownerReferences ?? []
    world.changeSpec('a', { suspend: true })
    world.user.patch(
      secrets,
      { namespace: 'plant-a', name },
      {
        metadata: { ownerReferences: [other, ...own] },
      },
    )
    world.changeSpec('a', retained)
    await world.clock.advance(1000)
    expect(world.secret(name)?.metadata.ownerReferences).toEqual([other])
  })
})

describe('the operator: deletionPolicy Retain on a Secret that cannot be written', () => {
  const unwritable = async (code: number, isRefused: (call: ApiCall) => boolean = isPatch): Promise<OperatorWorld> => {
    const world = await newWorld()
    world.changeSpec('a', { suspend: true })
    await world.clock.advance(1000)
    world.refuse(isRefused, { code, reason: code === 403 ? 'Forbidden' : 'InternalError' })
    world.changeSpec('a', retained)
    await world.clock.advance(2000)
    return world
  }

  it.each([403, 500])('a finalizer keeps the resource until the write succeeds (HTTP %d)', async (code) => {
    const world = await unwritable(code)
    expect(world.credential('a')?.metadata.finalizers).toEqual([finalizer])
    world.refuse(undefined)
    await world.clock.advance(hourMs)
    expect(world.credential('a')?.metadata.finalizers).toEqual([])
    expect(world.secret(name)?.metadata.ownerReferences).toEqual([])
  })

  it('the conditions tell the refusal while suspended, until the write succeeds', async () => {
    const world = await unwritable(403)
    expect(world.conditions('a')).toContain('Ready=True/Suspended')
    expect(world.conditions('a')).toContain('Stalled=True/TargetWriteFailed')
    world.refuse(undefined)
    await world.clock.advance(hourMs)
    expect(world.conditions('a')).not.toContain('TargetWriteFailed')
  })

  it('a finalizer keeps the resource while the Secret cannot be read', async () => {
    const world = await unwritable(500, ({ name: of, plural }) => plural === 'secrets' && of === name)
    expect(world.credential('a')?.metadata.finalizers).toEqual([finalizer])
  })

  it('the finalizer is removed once the Secret no longer exists', async () => {
    const world = await unwritable(500)
    world.deleteSecret(name)
    await world.clock.advance(1000)
    expect(world.credential('a')?.metadata.finalizers).toEqual([])
  })

  it('a deletion waits for a write that is retried', async () => {
    const world = await unwritable(500)
    world.deleteCredential('a')
    await world.clock.advance(hourMs)
    expect(world.credential('a')).toBeDefined()
    world.refuse(undefined)
    await world.clock.advance(hourMs)
    expect(world.credential('a')).toBeUndefined()
    expect(world.secret(name)).toBeDefined()
  })

  it.each<[string, ((call: ApiCall) => boolean) | undefined]>([
    ['written', undefined],
    ['read', ({ name: of, plural }) => plural === 'secrets' && of === name],
  ])('a deletion ends with a warning when the Secret must not be %s', async (_, isRefused) => {
    const world = await unwritable(403, isRefused)
    world.deleteCredential('a')
    await world.clock.advance(2000)
    expect(world.credential('a')).toBeUndefined()
    expect(world.operator?.emitted).toContainEqual(
      expect.objectContaining({
        type: 'Warning',
        reason: 'TargetWriteFailed',
        note: expect.stringMatching(
          /HTTP 403 .* the Secret is deleted with the resource, though its deletionPolicy/,
        ) as unknown,
      }),
    )
  })
})
