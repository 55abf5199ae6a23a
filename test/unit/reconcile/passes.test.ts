import { describe, expect, it, onTestFinished } from 'vitest'
import { annotations } from '../../../src/api/v1alpha1/names.ts'
import { credentials } from '../../../src/kubernetes/types.ts'
import { sleep } from '../../../src/lib/clock.ts'
import { minuteMs } from '../../support/builders.ts'
import type { ApiCall } from '../../support/memory-api.ts'
import { namespace, OperatorWorld } from './operator-world.ts'

/** An operator at a gateway that takes 10 ms. */
async function setUp() {
  const world = new OperatorWorld()
  const { answer } = world.gateway
  world.gateway.answer = async (operation, request) => {
    await sleep(world.clock, 10)
    return await answer(operation, request)
  }
  const operator = await world.start()
  onTestFinished(() => operator.kill())
  /** The passes of the next 5 s. */
  const passes = async (): Promise<number> => {
    const before = operator.passes
    await world.clock.advance(5000)
    return operator.passes - before
  }
  return { world, passes }
}

/** Has something happen at a call, before its answer. */
function once(world: OperatorWorld, isMeant: (call: ApiCall) => boolean, happen: () => void): void {
  world.refuse((call) => {
    if (!isMeant(call)) return false
    world.refuse(undefined)
    happen()
    return false
  })
}

const isStatusWrite = ({ plural, verb }: ApiCall): boolean => verb === 'patch' && plural === credentials.plural
const isCreate = ({ verb }: ApiCall): boolean => verb === 'create'

describe('Reconciler: passes', () => {
  it('a first sync takes two passes: join the application, write target and status', async () => {
    const { world, passes } = await setUp()
    world.addCredential('wind')
    expect(await passes()).toBe(2)
    expect(world.conditions('wind')).toContain('Ready=True/Synced')
    await world.clock.advance(minuteMs)
    expect(world.api.calls).toHaveLength(3)
  })

  it('a requested renewal takes two passes: take the request, write target and status', async () => {
    const { world, passes } = await setUp()
    world.addCredential('wind')
    await passes()
    const body = { metadata: { annotations: { [annotations.renewRequestedAt]: '1' } } }
    world.user.patch(credentials, { namespace, name: 'wind' }, body)
    expect(await passes()).toBe(2)
    expect(world.status('wind').lastHandledRenewRequest).toBe('1')
  })

  it('the repair of a target takes one pass: write target and status', async () => {
    const { world, passes } = await setUp()
    world.addCredential('wind')
    await passes()
    world.deleteSecret('wind-token')
    expect(await passes()).toBe(1)
    expect(world.isValid('wind-token')).toBe(true)
  })
})

describe('Reconciler: an event during a pass', () => {
  it('a change of a target that the pass has read before is corrected after the pass', async () => {
    const { world, passes } = await setUp()
    world.addCredential('wind')
    await passes()
    once(world, isStatusWrite, () => {
      world.changeSecret('wind-token', { accessToken: 'another' })
    })
    // The label stays, so that the pass confirms the target and writes its version to the status.
    world.labelSecret('wind-token', { team: 'wind' })
    await passes()
    expect(world.isValid('wind-token')).toBe(true)
  })

  it('an event after a failed write has the write tried again at once', async () => {
    const { world, passes } = await setUp()
    world.refuse(isCreate, { code: 500, reason: 'InternalError' })
    world.addCredential('wind')
    await world.clock.advance(30 * minuteMs)
    world.refuse((call) => {
      if (!isCreate(call)) return false
      world.refuse(undefined)
      world.labelSecret('app', { team: 'wind' })
      return true
    })
    world.labelSecret('app', { team: 'solar' })
    await passes()
    expect(world.isValid('wind-token')).toBe(true)
  })
})
