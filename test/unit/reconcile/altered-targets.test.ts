import { describe, expect, it, onTestFinished } from 'vitest'
import { type KubernetesObject, type ResourceType, secrets } from '../../../src/kubernetes/types.ts'
import { hourMs, minuteMs } from '../../support/builders.ts'
import type { ApiCall } from '../../support/memory-api.ts'
import { namespace, OperatorWorld } from './operator-world.ts'

const name = 'a-token'
const isSecretWrite = ({ name: of, plural, verb }: ApiCall): boolean =>
  plural === 'secrets' && of === name && verb !== 'get'

/** A synced credential `a`, where admission alters each Secret that the operator creates. */
async function worldWithAdmission(alteration: object): Promise<OperatorWorld> {
  const world = new OperatorWorld()
  onTestFinished(async () => {
    await world.operator?.kill()
  })
  const create = world.api.create.bind(world.api)
  world.api.create = async <T extends KubernetesObject>(type: ResourceType, ...rest: [string, object]): Promise<T> => {
    const created = await create<T>(type, ...rest)
    const { name: of = '' } = created.metadata
    if (type.plural !== 'secrets' || of !== name) return created
    world.user.patch(secrets, { namespace, name }, alteration)
    return (world.secret(name) ?? created) as T
  }
  world.addCredential('a')
  await world.start()
  return world
}

function events(world: OperatorWorld, reason: string): string[] {
  const emitted = world.operator?.emitted ?? []
  return emitted.flatMap((one) => (typeof one !== 'string' && one.reason === reason ? [one.note] : []))
}

describe('a target that admission alters', () => {
  it('a target that admission makes immutable stays unchanged, and is recreated once at each renewal', async () => {
    const world = await worldWithAdmission({ immutable: true })
    expect(world.conditions('a')).toContain('Ready=True/Synced')
    expect(events(world, 'TargetAltered')).toEqual([expect.stringContaining('running pods do not see its renewals')])
    const before = world.api.calls.length
    await world.clock.advance(30 * minuteMs)
    expect(world.api.calls.slice(before).filter(isSecretWrite)).toEqual([])
    const uid = world.secret(name)?.metadata.uid
    await world.clock.advance(1.5 * hourMs)
    const writes = world.api.calls.slice(before).filter(isSecretWrite)
    expect(writes.map(({ verb }) => verb)).toEqual(['delete', 'create'])
    expect(world.secret(name)?.metadata.uid).not.toBe(uid)
    expect(world.isValid(name)).toBe(true)
    expect(world.conditions('a')).toContain('Ready=True/Synced')
  })

  it('a target whose token admission replaces has the reason TargetAltered, and is not written again', async () => {
    const world = await worldWithAdmission({ data: { accessToken: Buffer.from('altered').toString('base64') } })
    const before = world.api.calls.length
    await world.clock.advance(30 * minuteMs)
    expect(world.api.calls.slice(before).filter(isSecretWrite)).toEqual([])
    expect(world.conditions('a')).toContain('Ready=False/TargetAltered')
    expect(world.conditions('a')).toContain('Stalled=True/TargetAltered')
    expect(events(world, 'TargetAltered')).toHaveLength(1)
  })

  it('a target whose label admission replaces stays Ready with one event, and is not written again', async () => {
    const world = await worldWithAdmission({ metadata: { labels: { 'enos.io/credential': 'altered' } } })
    const before = world.api.calls.length
    await world.clock.advance(30 * minuteMs)
    expect(world.api.calls.slice(before).filter(isSecretWrite)).toEqual([])
    expect(world.conditions('a')).toContain('Ready=True/Synced')
    expect(events(world, 'TargetAltered')).toHaveLength(1)
  })
})
