import { describe, expect, it, onTestFinished } from 'vitest'
import { minuteMs } from '../../support/builders.ts'
import { OperatorWorld } from './operator-world.ts'

async function synced(): Promise<OperatorWorld> {
  const world = new OperatorWorld()
  onTestFinished(async () => {
    await world.operator?.kill()
  })
  world.addCredential('a')
  await world.start()
  return world
}

const lastWriteOf = (world: OperatorWorld) => world.status('a').targets[0]?.lastWrite

describe('status.targets[].lastWrite', () => {
  it('lastWrite has the reason and the time of the first write', async () => {
    expect(lastWriteOf(await synced())).toEqual({ reason: 'Missing', at: '2026-01-01T00:00:00Z' })
  })

  it('lastWrite has the reason and the time of a later write', async () => {
    const world = await synced()
    await world.clock.advance(10 * minuteMs)
    world.changeSecret('a-token', { accessToken: 'forged' })
    await world.clock.advance(1000)
    expect(lastWriteOf(world)).toEqual({ reason: 'Drift', at: '2026-01-01T00:10:05Z' })
  })

  it('lastWrite is in the one patch of the status that follows a write', async () => {
    const world = await synced()
    const before = world.api.calls.length
    world.changeSecret('a-token', { accessToken: 'forged' })
    await world.clock.advance(1000)
    const patches = world.callsSince(before).filter((call) => call.startsWith('patch'))
    expect(patches).toEqual(['patch secrets a-token', 'patch enosappcredentials a'])
  })

  it('lastWrite is unchanged by a restart and by a target that is only confirmed', async () => {
    const world = await synced()
    const first = lastWriteOf(world)
    await world.clock.advance(10 * minuteMs)
    await world.start()
    // With the API server's metadata alone changed, the target is read and confirmed, and the status has its version.
    world.labelSecret('a-token', { team: 'wind' })
    await world.clock.advance(1000)
    expect(world.status('a').targets[0]?.resourceVersion).toBe(world.secret('a-token')?.metadata.resourceVersion)
    expect(lastWriteOf(world)).toEqual(first)
  })
})
