import { describe, expect, it, onTestFinished } from 'vitest'
import { hourMs, minuteMs } from '../../support/builders.ts'
import type { ApiCall } from '../../support/memory-api.ts'
import { MemoryOperator } from '../../support/memory-operator.ts'
import { OperatorWorld } from './operator-world.ts'

const name = 'a-token'

/** A synced credential `a`, and two operators that work on it; the second starts a moment later. */
async function newWorld(): Promise<OperatorWorld> {
  const world = new OperatorWorld()
  await world.start()
  const other = new MemoryOperator(world.api, world.gateway, world.clock)
  onTestFinished(async () => {
    await world.operator?.kill()
    await other.kill()
  })
  await world.clock.advance(5300)
  world.addCredential('a')
  await world.clock.advance(10_000)
  return world
}

const isSecretWrite = ({ name: of, plural, verb }: ApiCall): boolean =>
  plural === 'secrets' && of === name && verb !== 'get'
const isStatusWrite = ({ plural, verb }: ApiCall): boolean => plural === 'enosappcredentials' && verb === 'patch'

describe('two operators on one resource', () => {
  it('come to rest after the first sync', async () => {
    const world = await newWorld()
    const before = world.api.calls.length
    await world.clock.advance(30 * minuteMs)
    expect(world.api.calls.slice(before).filter(isSecretWrite)).toEqual([])
    expect(world.api.calls.slice(before).filter(isStatusWrite)).toEqual([])
    expect(world.conditions('a')).toContain('Ready=True/Synced')
  })

  it('change the Secret at most 3 times a renewal, and leave the present token on it', async () => {
    const world = await newWorld()
    const before = world.api.calls.length
    const renewals = 5
    await world.clock.advance(renewals * 1.6 * hourMs)
    const writes = world.api.calls.slice(before).filter(isSecretWrite)
    expect(writes.length).toBeLessThanOrEqual(3 * renewals)
    expect(world.api.calls.slice(before).filter(isStatusWrite).length).toBeLessThanOrEqual(6 * renewals)
    expect(world.isValid(name)).toBe(true)
    expect(world.conditions('a')).toContain('Ready=True/Synced')
  })
})
