import { describe, expect, it, onTestFinished } from 'vitest'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import type { KubernetesObject } from '../../../src/kubernetes/types.ts'
import { hourMs, minuteMs } from '../../support/builders.ts'
import type { ApiCall } from '../../support/memory-api.ts'
import { MemoryOperator } from '../../support/memory-operator.ts'
import { OperatorWorld } from './operator-world.ts'

const name = 'a-token'

/** A synced credential `a`, and two operators that work on it; the second starts a moment later. */
async function newWorlds(): Promise<{ world: OperatorWorld; operators: MemoryOperator[] }> {
  const world = new OperatorWorld()
  const first = await world.start()
  const other = new MemoryOperator(world.api, world.gateway, world.clock)
  onTestFinished(async () => {
    await world.operator?.kill()
    await other.kill()
  })
  await world.clock.advance(5300)
  world.addCredential('a')
  await world.clock.advance(10_000)
  return { world, operators: [first, other] }
}

const isWarning = (one: unknown): boolean => typeof one === 'string' && one.includes('another operator writes')

const isSecretWrite = ({ name: of, plural, verb }: ApiCall): boolean =>
  plural === 'secrets' && of === name && verb !== 'get'
const isStatusWrite = ({ plural, verb }: ApiCall): boolean => plural === 'enosappcredentials' && verb === 'patch'

describe('two operators on one resource', () => {
  it('two operators write nothing once both have seen the first sync', async () => {
    const { world } = await newWorlds()
    const before = world.api.calls.length
    await world.clock.advance(30 * minuteMs)
    expect(world.api.calls.slice(before).filter(isSecretWrite)).toEqual([])
    expect(world.api.calls.slice(before).filter(isStatusWrite)).toEqual([])
    expect(world.conditions('a')).toContain('Ready=True/Synced')
  })

  it('two operators change the Secret at most 3 times a renewal, and leave the present token on it', async () => {
    const { world } = await newWorlds()
    const before = world.api.calls.length
    const renewals = 5
    await world.clock.advance(renewals * 1.6 * hourMs)
    const writes = world.api.calls.slice(before).filter(isSecretWrite)
    expect(writes.length).toBeLessThanOrEqual(3 * renewals)
    expect(world.api.calls.slice(before).filter(isStatusWrite).length).toBeLessThanOrEqual(6 * renewals)
    expect(world.isValid(name)).toBe(true)
    expect(world.conditions('a')).toContain('Ready=True/Synced')
  })

  it('two operators both warn within two renewals, and at most once an hour each', async () => {
    const { operators, world } = await newWorlds()
    const warnings = (): number[] => operators.map(({ emitted }) => emitted.filter(isWarning).length)
    await world.clock.advance(2 * 1.6 * hourMs)
    expect(Math.min(...warnings())).toBeGreaterThanOrEqual(1)
    await world.clock.advance(5 * hourMs)
    expect(Math.max(...warnings())).toBeLessThanOrEqual(9)
  })
})

describe('one operator', () => {
  it('one operator takes a status whose write was not answered for its own', async () => {
    const world = new OperatorWorld()
    const operator = await world.start()
    onTestFinished(() => operator.kill())
    const patch = world.api.patch.bind(world.api)
    let lost = 0
    world.api.patch = async <T extends KubernetesObject>(...args: Parameters<typeof patch>): Promise<T> => {
      const written = await patch<T>(...args)
      const [{ plural }] = args
      if (plural !== 'enosappcredentials' || lost++ > 0) return written
      throw new ApiError('patch', { code: 0, reason: 'Timeout' })
    }
    world.addCredential('a')
    await world.clock.advance(3 * hourMs)
    expect(lost).toBeGreaterThan(1)
    expect(operator.emitted.filter(isWarning)).toEqual([])
  })
})
