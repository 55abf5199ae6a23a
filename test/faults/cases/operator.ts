import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { delay, eventually } from '../../integration/harness.ts'
import type { FaultCase } from '../fault-case.ts'
import { seeded } from '../random.ts'

const preload = fileURLToPath(new URL('../preload.ts', import.meta.url))
const struckBy = (fault: string): { nodeArgs: string[]; env: Record<string, string> } => {
  return { nodeArgs: ['--import', preload], env: { FAULT: fault } }
}

/** A fault that the process brings about in itself. */
function selfStruck(name: string, fault: string, expected: string, rest: Partial<FaultCase> = {}): FaultCase {
  return {
    name,
    expected,
    world: { operator: struckBy(fault) },
    begin: (world) => {
      world.operator.signal('SIGUSR2')
    },
    ...rest,
  }
}

/** Of two replicas the leader is struck. The lease lasts 15 s, and the window in which a token is renewed 25. */
function leaderStruck(signal: 'SIGKILL' | 'SIGSTOP', rest: Pick<FaultCase, 'name' | 'expected' | 'end'>): FaultCase {
  return {
    world: { lifetimeSeconds: 50, isElected: true },
    recoverWithinMs: 24_000,
    begin: async (world) => {
      await world.startOperator()
      world.operators[0]?.signal(signal)
    },
    during: (world) => world.operator.working(),
    ...rest,
  }
}

export const operatorFaults: readonly FaultCase[] = [
  leaderStruck('SIGKILL', {
    name: 'of two replicas the leader is killed',
    expected: 'the other takes over when the lease has run out, within 20 s, and renews in time',
  }),
  leaderStruck('SIGSTOP', {
    name: 'of two replicas the leader is paused past its lease, and goes on',
    expected: 'the other renews in time; what was paused sends nothing more, and ends',
    end: async (world) => {
      world.operators[0]?.signal('SIGCONT')
      expect(await world.operators[0]?.exited()).toBe(1)
    },
  }),
  {
    name: 'it is killed at 100 random moments',
    world: { lifetimeSeconds: 40 },
    expected: 'the last one renews; no token is refreshed twice, no Secret is lost',
    when: 'now',
    begin: async (world) => {
      const random = seeded(100)
      for (let times = 0; times < 100; times++) {
        await delay(random() * 500)
        world.operator.signal('SIGKILL')
        await world.operator.exited()
        await world.startOperator()
      }
    },
  },
  {
    name: 'it is told to stop in the middle of a renewal',
    expected: 'what is under way is ended and written; exit code 0 within 10 s',
    begin: async (world) => {
      world.gateway.setLatency(700)
      const { length } = world.gateway.calls
      await eventually(() => expect(world.gateway.calls.length).toBeGreaterThan(length), 3000)
      const begun = performance.now()
      expect(await world.operator.end()).toBe(0)
      expect(performance.now() - begun).toBeLessThan(10_000)
      world.gateway.setLatency(0)
      const held = (await world.harness.data(world.namespace, 'third-token'))?.['accessToken'] ?? ''
      expect(world.gateway.service.isValid(held)).toBe(true)
      await world.startOperator()
    },
  },
  selfStruck('its event loop stands still for 3 s', 'block:3000', 'what was due is done at once when it goes on'),
  selfStruck(
    'its wall clock is set ten minutes forward',
    'step:600000',
    'deadlines are on a monotonic clock: renewed as ever; a gateway that minds the clock refuses it until it is right',
    { world: { operator: struckBy('step:600000'), gateway: { maxSkewMs: 0 } } },
  ),
  selfStruck(
    'its wall clock is set ten minutes back',
    'step:-600000',
    'deadlines are on a monotonic clock: renewed as ever; no timestamp is used twice',
    { world: { operator: struckBy('step:-600000'), gateway: { maxSkewMs: 0 } } },
  ),
]
