import { describe, expect, it, onTestFinished } from 'vitest'
import { TokenService } from '../../../simulator/token-service.ts'
import type { Clock } from '../../../src/lib/clock.ts'
import { hourMs, marker, minuteMs } from '../../support/builders.ts'
import { clientOf } from '../enos/support.ts'
import { OperatorWorld } from './operator-world.ts'

const synced = 'Ready=True/Synced RenewalHealthy=True/Synced'
const sleepMs = 84 * minuteMs

/** An operator with a credential that was synced an hour ago. The gateway uses the wall clock. */
async function newWorld(): Promise<{ world: OperatorWorld; service: TokenService }> {
  const world = new OperatorWorld()
  onTestFinished(async () => {
    await world.operator?.kill()
  })
  const wall = (): number => world.clock.wall()
  const clock: Clock = { now: wall, wall, setTimer: (delayMs, callback) => world.clock.setTimer(delayMs, callback) }
  const service = new TokenService({ clock, applications: [marker] })
  world.gateway.answer = clientOf(world.clock, () => service).answer
  world.addCredential('a')
  await world.start()
  await world.clock.advance(hourMs)
  expect(world.conditions('a')).toBe(synced)
  return { world, service }
}

function jump(world: OperatorWorld, ms: number): void {
  world.clock.stepWall(ms)
  world.operator?.onClockJump(ms)
}

function tokenOn(world: OperatorWorld): string {
  return Buffer.from(world.secret('a-token')?.data?.['accessToken'] ?? '', 'base64').toString()
}

describe('a jump of the wall clock: suspend', () => {
  it('a suspend that outlasts the token brings a new one at once', async () => {
    const { service, world } = await newWorld()
    jump(world, sleepMs)
    expect(service.isValid(tokenOn(world))).toBe(false)
    await world.clock.advance(1000)
    expect(service.isValid(tokenOn(world))).toBe(true)
    expect(world.conditions('a')).toBe(synced)
  })

  it('a suspend that outlasts the token brings a new one to a resource that a restart took over', async () => {
    const { service, world } = await newWorld()
    const calls = world.gateway.calls.length
    await world.start()
    expect(world.gateway.calls).toHaveLength(calls)
    jump(world, sleepMs)
    await world.clock.advance(1000)
    expect(service.isValid(tokenOn(world))).toBe(true)
    expect(world.conditions('a')).toBe(synced)
  })

  it('a suspend that outlasts the token turns Ready False when get has not confirmed it within 10 s', async () => {
    const { service, world } = await newWorld()
    const { answer } = world.gateway
    world.stopGateway()
    jump(world, sleepMs)
    await world.clock.advance(9000)
    expect(world.conditions('a')).toMatch(/^Ready=True/)
    await world.clock.advance(1500)
    expect(world.conditions('a')).toMatch(/^Ready=False\/TokenExpired/)
    world.gateway.answer = answer
    await world.clock.advance(minuteMs)
    expect(world.conditions('a')).toBe(synced)
    expect(service.isValid(tokenOn(world))).toBe(true)
  })
})

describe('a jump of the wall clock: correction', () => {
  it('a correction by hours keeps Ready and the token, which get confirms', async () => {
    const world = new OperatorWorld()
    onTestFinished(async () => {
      await world.operator?.kill()
    })
    world.addCredential('a')
    await world.start()
    const token = tokenOn(world)
    const calls = world.gateway.calls.length
    jump(world, 3 * hourMs)
    for (let seconds = 0; seconds < 20; seconds++) {
      await world.clock.advance(1000)
      expect(world.conditions('a')).toMatch(/^Ready=True/)
    }
    expect(world.gateway.operations.slice(calls)).toEqual(['get'])
    expect(tokenOn(world)).toBe(token)
    // The expiry counts on the corrected clock.
    const leftMs = Date.parse(world.status('a').expiresAt ?? '') - world.clock.wall()
    expect(leftMs).toBeGreaterThan(119 * minuteMs)
    expect(leftMs).toBeLessThanOrEqual(2 * hourMs)
  })

  it('a correction by 10 s causes no call and no write', async () => {
    const world = new OperatorWorld()
    onTestFinished(async () => {
      await world.operator?.kill()
    })
    world.addCredential('a')
    await world.start()
    const [gatewayCalls, apiCalls] = [world.gateway.calls.length, world.api.calls.length]
    jump(world, 10_000)
    await world.clock.advance(minuteMs)
    expect(world.gateway.calls).toHaveLength(gatewayCalls)
    expect(world.callsSince(apiCalls)).toEqual([])
  })
})
