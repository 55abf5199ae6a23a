import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { SystemClock } from '../../../src/lib/clock.ts'
import { delay, eventually } from '../../integration/harness.ts'
import type { FaultCase } from '../fault-case.ts'
import { seeded } from '../random.ts'

const preload = fileURLToPath(new URL('../preload.ts', import.meta.url))
const struckBy = (fault: string): { nodeArgs: string[]; env: Record<string, string> } => {
  return { nodeArgs: ['--import', preload], env: { FAULT: fault } }
}

/** A fault that the process causes in itself. */
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

/** A clock that a test steps, as time that passes while a machine sleeps. */
class SteppedClock extends SystemClock {
  #stepMs = 0

  step(ms: number): void {
    this.#stepMs += ms
  }

  override now(): number {
    return super.now() + this.#stepMs
  }

  override wall(): number {
    return super.wall() + this.#stepMs
  }
}

/** Tokens live 60 s. The operator's monotonic clock stands still meanwhile, and the gateway's goes on. */
function sleptCase(ms: number, rest: Pick<FaultCase, 'name' | 'expected' | 'mayExpire'>): FaultCase {
  const clock = new SteppedClock()
  return selfStruck(rest.name, `step:${ms}`, rest.expected, {
    world: { lifetimeSeconds: 60, operator: struckBy(`step:${ms}`), gateway: { clock } },
    when: 'now',
    holdMs: 0,
    begin: async (world) => {
      const { gateway, own, shared } = world
      const present = (): (string | undefined)[] =>
        [own, shared].map(({ appKey }) => gateway.service.currentToken(appKey))
      const before = present()
      clock.step(ms)
      world.operator.signal('SIGUSR2')
      await eventually(() => {
        for (const token of present()) expect([undefined, ...before]).not.toContain(token)
      }, 5000)
    },
    ...rest,
  })
}

/** Strikes the leader of two replicas. The lease lasts 15 s, the renewal window 25 s. */
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
    name: 'the leader of two replicas is killed',
    expected: 'the other replica takes over within 20 s and renews in time',
  }),
  leaderStruck('SIGSTOP', {
    name: 'the leader of two replicas is paused past its lease and resumed',
    expected: 'the other replica renews in time; the paused one sends nothing more and exits',
    end: async (world) => {
      world.operators[0]?.signal('SIGCONT')
      expect(await world.operators[0]?.exited()).toBe(1)
    },
  }),
  {
    name: 'the operator is killed at 100 random moments',
    world: { lifetimeSeconds: 40 },
    expected: 'the last process renews; no token is refreshed twice, no Secret is lost',
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
    name: 'the operator gets SIGTERM in the middle of a renewal',
    expected: 'the renewal is finished and written; exit code 0 within 10 s',
    begin: async (world) => {
      world.gateway.setLatency(700)
      const { length } = world.gateway.calls
      await eventually(() => expect(world.gateway.calls.length).toBeGreaterThan(length), world.lifetimeMs)
      const begun = performance.now()
      expect(await world.operator.end()).toBe(0)
      expect(performance.now() - begun).toBeLessThan(10_000)
      world.gateway.setLatency(0)
      const held = (await world.harness.data(world.namespace, 'third-token'))?.['accessToken'] ?? ''
      expect(world.gateway.service.isValid(held)).toBe(true)
      await world.startOperator()
    },
  },
  selfStruck('the event loop is blocked for 3 s', 'block:3000', 'renewals that are due run at once afterwards'),
  selfStruck(
    'the wall clock is set ten minutes forward',
    'step:600000',
    'the machine may have slept: get confirms the tokens at once, Ready stays; a gateway that checks timestamps refuses calls until the clock is right',
    { world: { operator: struckBy('step:600000'), gateway: { maxSkewMs: 0 } } },
  ),
  sleptCase(40_000, {
    name: 'the machine sleeps until the tokens are in their window',
    expected: 'the jump of the wall clock counts as time that passed: renewed at once, before the tokens expire',
  }),
  sleptCase(70_000, {
    name: 'the machine sleeps until after the tokens have expired',
    expected: 'renewed within seconds of waking; Ready False until then',
    mayExpire: true,
  }),
  selfStruck(
    'the wall clock is set ten minutes back',
    'step:-600000',
    'deadlines are on a monotonic clock: renewed as usual; no timestamp is used twice',
    { world: { operator: struckBy('step:-600000'), gateway: { maxSkewMs: 0 } } },
  ),
]
