import { describe, expect, it, onTestFinished } from 'vitest'
import { annotations } from '../../../src/api/v1alpha1/names.ts'
import { credentials } from '../../../src/kubernetes/types.ts'
import { minuteMs } from '../../support/builders.ts'
import { namespace, OperatorWorld } from './operator-world.ts'

function newWorld(): OperatorWorld {
  const world = new OperatorWorld()
  onTestFinished(async () => {
    await world.operator?.kill()
  })
  world.addCredential('a')
  return world
}

function requestRenewal(world: OperatorWorld, value: string): void {
  const body = { metadata: { annotations: { [annotations.renewRequestedAt]: value } } }
  world.user.patch(credentials, { namespace, name: 'a' }, body)
}

const tokenOf = (world: OperatorWorld): string | undefined => world.secret('a-token')?.data?.['accessToken']

describe('a renewal request', () => {
  it.each<[string, (world: OperatorWorld) => Promise<unknown>]>([
    [
      'while the resource is suspended',
      async (world) => {
        world.changeSpec('a', { suspend: true })
        await world.clock.advance(1000)
        world.deleteSecret('a-token')
        await world.clock.advance(1000)
        requestRenewal(world, 'now')
        await world.clock.advance(minuteMs)
        expect(world.status('a').lastHandledRenewRequest).toBeUndefined()
        world.changeSpec('a', { suspend: false })
      },
    ],
    [
      'while the operator does not run',
      async (world) => {
        await world.operator?.kill()
        world.deleteSecret('a-token')
        requestRenewal(world, 'now')
        await world.start()
      },
    ],
  ])('a renewal request made %s, its target missing, brings a new token', async (_, request) => {
    const world = newWorld()
    await world.start()
    const before = tokenOf(world)
    expect(before).toBeDefined()
    await request(world)
    await world.clock.advance(minuteMs)
    expect(world.status('a').lastHandledRenewRequest).toBe('now')
    expect(world.isValid('a-token')).toBe(true)
    expect(tokenOf(world)).not.toBe(before)
    expect(world.gateway.operations.filter((operation) => operation === 'refresh')).toHaveLength(1)
  })

  it('a renewal request on a new resource does not refresh its first token', async () => {
    const world = newWorld()
    requestRenewal(world, 'now')
    await world.start()
    await world.clock.advance(minuteMs)
    expect(world.status('a').lastHandledRenewRequest).toBe('now')
    expect(world.gateway.operations).toEqual(['get'])
  })
})
