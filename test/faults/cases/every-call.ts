import { expect } from 'vitest'
import type { Fault } from '../../../simulator/faults.ts'
import type { MissingRefresh } from '../../../simulator/token-service.ts'
import { eventually } from '../../integration/harness.ts'
import type { FaultCase } from '../fault-case.ts'
import type { World } from '../world.ts'

/** A fault that strikes every call until it ends. */
export function everyCall(name: string, fault: Fault, reason: string, rest: Partial<FaultCase> = {}): FaultCase {
  return {
    name,
    expected: `RenewalHealthy False, ${reason}; Ready stays; renewed when the fault ends`,
    begin: (world) => world.gateway.setFaults([{ fault }]),
    during: async (world) => {
      // At the next renewal, where this one was over before the fault began.
      await world.expectConditions('RenewalHealthy', `False/${reason}`, world.lifetimeMs)
      for (const name of world.names) {
        expect(await world.harness.condition(world.namespace, name, 'Ready')).toBe('True/Synced')
      }
    },
    end: (world) => world.gateway.setFaults([]),
    ...rest,
  }
}

/** The fault is too small to delay the renewal. */
export async function expectRenewed(world: World): Promise<void> {
  await eventually(() => expect(world.minLifeMs()).toBeGreaterThan(world.windowMs + 1000), 6000)
}

/** The gateway answers each refresh that it has none. */
export function missingRefresh(form: MissingRefresh, inWords: string): FaultCase {
  return {
    name: `the gateway has no refresh (${inWords})`,
    expected: 'get at expiry; the token is expired for at most a second, which is inherent',
    world: { gateway: { missingRefresh: form } },
    holdMs: 14_000,
    mayExpire: true,
    begin: () => undefined,
    after: async (world) => {
      expect(await world.harness.message(world.namespace, 'first', 'RenewalHealthy')).toContain('refresh')
      for (const { appKey } of [world.shared, world.own]) {
        const refreshes = world.gateway.calls.filter((call) => call.operation === 'refresh' && call.appKey === appKey)
        // A second answer a moment later is needed as proof.
        expect(refreshes.length).toBeLessThanOrEqual(2)
      }
    },
  }
}
