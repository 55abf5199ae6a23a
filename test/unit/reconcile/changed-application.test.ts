import { describe, expect, it, onTestFinished } from 'vitest'
import { marker, minuteMs } from '../../support/builders.ts'
import { OperatorWorld } from './operator-world.ts'

const data = { accessToken: '{{ accessToken }}' }

/** Two applications: the token of `other`, which `a` has, is issued later and so expires later than the one of `b`. */
async function newWorld(targets: readonly object[]): Promise<OperatorWorld> {
  const world = new OperatorWorld()
  onTestFinished(async () => {
    await world.operator?.kill()
  })
  const other = { appKey: 'other-app-key', appSecret: marker.appSecret }
  world.service.addApplication(other)
  world.addSecret('other-app', other)
  await world.start()
  world.addCredential('b', { targets: [{ name: 'b-token', data }] })
  await world.clock.advance(10 * minuteMs)
  world.addCredential('a', { appKeyRef: { name: 'other-app' }, appSecretRef: { name: 'other-app' }, targets })
  await world.clock.advance(minuteMs)
  return world
}

/** Lets time pass until the token of `b` is to be renewed in 3 s. */
async function advanceToRenewal(world: OperatorWorld): Promise<void> {
  const renewalAtWall = Date.parse(world.status('b').nextRenewalAt ?? '')
  await world.clock.advance(renewalAtWall - 3000 - world.clock.wall())
}

const ownApplication = { appKeyRef: { name: 'app' }, appSecretRef: { name: 'app' } }
const tokenIn = (world: OperatorWorld, name: string): string | undefined => world.secret(name)?.data?.['accessToken']

describe('a change of the application', () => {
  it('a change of the application brings its token to all targets at once, though it is about to be renewed', async () => {
    const targets = [{ name: 'a-token', data }]
    const world = await newWorld(targets)
    await advanceToRenewal(world)
    const before = tokenIn(world, 'b-token')
    expect(tokenIn(world, 'a-token')).not.toBe(before)
    world.changeSpec('a', { ...ownApplication, targets: [{ name: 'more', data }, ...targets] })
    await world.clock.advance(1000)
    expect(tokenIn(world, 'b-token')).toBe(before)
    expect([tokenIn(world, 'a-token'), tokenIn(world, 'more')]).toEqual([before, before])
    expect(world.status('a').tokenFingerprint).toBe(world.status('b').tokenFingerprint)
  })

  it('a change of the application replaces the token in a retained Secret at once, when that is a target again', async () => {
    const retained = { name: 'a-token', data, deletionPolicy: 'Retain' }
    const world = await newWorld([retained])
    world.changeSpec('a', { targets: [{ name: 'more', data }] })
    await world.clock.advance(1000)
    await advanceToRenewal(world)
    const before = tokenIn(world, 'b-token')
    expect(tokenIn(world, 'a-token')).not.toBe(before)
    world.changeSpec('a', { ...ownApplication, targets: [retained] })
    await world.clock.advance(1000)
    expect(tokenIn(world, 'b-token')).toBe(before)
    expect(tokenIn(world, 'a-token')).toBe(before)
    expect(world.status('a').tokenFingerprint).toBe(world.status('b').tokenFingerprint)
  })

  it('a change of the application with one of Owner to Merge replaces the token in the Secret at once', async () => {
    const world = await newWorld([{ name: 'a-token', data }])
    await advanceToRenewal(world)
    const before = tokenIn(world, 'b-token')
    world.changeSpec('a', { ...ownApplication, targets: [{ name: 'a-token', data, creationPolicy: 'Merge' }] })
    await world.clock.advance(1000)
    expect(tokenIn(world, 'b-token')).toBe(before)
    expect(tokenIn(world, 'a-token')).toBe(before)
    expect(world.status('a').tokenFingerprint).toBe(world.status('b').tokenFingerprint)
  })

  it('a change of the application turns Ready False while only the ownership of the Secret can be given up', async () => {
    const world = await newWorld([{ name: 'a-token', data }])
    const before = tokenIn(world, 'a-token')
    let patches = 0
    world.refuse(({ name, verb }) => verb === 'patch' && name === 'a-token' && ++patches > 1)
    world.changeSpec('a', { ...ownApplication, targets: [{ name: 'a-token', data, creationPolicy: 'Merge' }] })
    await world.clock.advance(1000)
    expect(world.secret('a-token')?.metadata.ownerReferences).toEqual([])
    expect(tokenIn(world, 'a-token')).toBe(before)
    expect(world.conditions('a')).toContain('Ready=False/TargetWriteFailed')
    world.refuse(undefined)
    await world.clock.advance(11 * minuteMs)
    expect(tokenIn(world, 'a-token')).toBe(tokenIn(world, 'b-token'))
    expect(world.conditions('a')).toContain('Ready=True/Synced')
  })
})
