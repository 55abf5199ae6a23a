import { expect } from 'vitest'
import { configMaps, secrets } from '../../../src/kubernetes/types.ts'
import { delay, eventually } from '../../integration/harness.ts'
import type { FaultCase } from '../fault-case.ts'
import type { World } from '../world.ts'

/** Spoils a target; the operator must repair it at once, without a call to the gateway. */
function spoiledTarget(name: string, target: string, spoil: (world: World) => Promise<unknown>): FaultCase {
  return {
    name,
    expected: 'repaired within a second, without a call to the gateway',
    when: 'now',
    holdMs: 0,
    begin: async (world) => {
      const calls = world.gateway.calls.length
      await world.spoil(target, () => spoil(world))
      await eventually(async () => {
        const token = (await world.harness.data(world.namespace, target))?.[world.targets.get(target) ?? ''] ?? ''
        expect(world.gateway.service.isValid(token)).toBe(true)
      }, 1500)
      // A renewal that is due at this moment accounts for two.
      expect(
        world.gateway.calls.slice(calls).filter(({ operation }) => operation === 'get').length,
      ).toBeLessThanOrEqual(2)
    },
  }
}

const patch = (world: World, name: string, body: object): Promise<void> => {
  return world.harness.patchSecret(world.namespace, name, body)
}

/** One at a time: they measure time. */
export const spoiledTargets: readonly FaultCase[] = [
  spoiledTarget('a target is deleted', 'first-token', (world) =>
    world.harness.deleteSecret(world.namespace, 'first-token'),
  ),
  spoiledTarget('a target is altered', 'first-token', (world) => {
    return patch(world, 'first-token', { data: { accessToken: 'c3BvaWx0', alien: 'eA==' } })
  }),
  spoiledTarget('a key of a Merge target is altered', 'theirs', (world) => {
    return patch(world, 'theirs', { data: { ENOS_TOKEN: 'c3BvaWx0' } })
  }),
  spoiledTarget('a target is altered and made immutable', 'first-token', (world) => {
    return patch(world, 'first-token', { data: { accessToken: 'c3BvaWx0' }, immutable: true })
  }),
]

export const objectFaults: readonly FaultCase[] = [
  {
    name: 'a source Secret is deleted and created again later',
    expected: 'SourceSecretNotFound; the token stays until it expires; renewed when the source is back',
    begin: (world) => world.harness.deleteSecret(world.namespace, 'third-app'),
    during: (world) =>
      world.harness.expectCondition(world.namespace, 'third', 'RenewalHealthy', 'False/SourceSecretNotFound'),
    end: (world) => world.harness.createSecret(world.namespace, 'third-app', { ...world.own }),
  },
  {
    name: 'a source Secret is deleted and created again at once',
    expected: 'no condition changes',
    begin: async (world) => {
      await world.harness.deleteSecret(world.namespace, 'third-app')
      await world.harness.createSecret(world.namespace, 'third-app', { ...world.own })
    },
  },
  {
    name: 'two applications swap their source Secrets',
    expected: 'each resource gets the token of its new application and no other',
    begin: async (world) => {
      await patch(world, 'first-app', encoded(world.own))
      await patch(world, 'third-app', encoded(world.shared))
    },
    after: async (world) => {
      const token = async (target: string): Promise<string | undefined> =>
        (await world.harness.data(world.namespace, target))?.['accessToken']
      await eventually(async () => {
        expect(await token('first-token')).toBe(world.gateway.service.currentToken(world.own.appKey))
        expect(await token('third-token')).toBe(world.gateway.service.currentToken(world.shared.appKey))
      })
    },
  },
  {
    name: 'a resource is deleted in the middle of its renewal and created again',
    expected: 'nothing of the old resource stays or is written; the new one is synced',
    begin: async (world) => {
      world.gateway.setLatency(400)
      await eventually(() => expect(world.minLifeMs()).toBeGreaterThan(world.windowMs + 1000), 8000)
    },
    during: async (world) => {
      await world.beforeRenewal()
      await delay(700)
      // The garbage collector needs some seconds.
      for (const target of ['third-token', 'theirs']) world.referee.excuse(target, 10_000)
      await world.harness.deleteCredential(world.namespace, 'third')
      await eventually(
        async () => expect(await world.harness.getSecret(world.namespace, 'third-token')).toBeUndefined(),
        30_000,
      )
      await eventually(async () => {
        expect(Object.keys((await world.harness.data(world.namespace, 'theirs')) ?? {})).toEqual(['password'])
      })
      await world.createThird()
    },
    end: (world) => {
      world.gateway.setLatency(0)
    },
  },
  {
    name: 'the spec is edited ten times a second during a renewal',
    expected: 'renewed in time; the targets have the last spec',
    holdMs: 5000,
    begin: (world) => {
      world.gateway.setLatency(300)
    },
    during: async (world) => {
      for (let times = 0; times < 50; times++) {
        const spec = { targets: [{ name: 'first-token', labels: { edition: `e${times}` } }] }
        await world.harness.patchCredential(world.namespace, 'first', { spec })
        await delay(100)
      }
    },
    end: (world) => {
      world.gateway.setLatency(0)
    },
    after: (world) =>
      eventually(async () => {
        const secret = await world.harness.getSecret(world.namespace, 'first-token')
        expect(secret?.metadata.labels?.['edition']).toBe('e49')
      }),
  },
  {
    name: 'a new target has the name of a foreign Secret',
    expected: 'TargetConflict; the Secret is untouched, the other targets are renewed',
    begin: async (world) => {
      const targets = [{ name: 'first-token' }, { name: 'bystander' }]
      await world.harness.patchCredential(world.namespace, 'first', { spec: { targets } })
    },
    during: (world) => world.harness.expectCondition(world.namespace, 'first', 'Ready', 'False/TargetConflict'),
    end: (world) =>
      world.harness.patchCredential(world.namespace, 'first', { spec: { targets: [{ name: 'first-token' }] } }),
  },
  {
    name: 'a thousand foreign Secrets and ConfigMaps come and go',
    expected: 'renewed in time',
    begin: async ({ harness, namespace }) => {
      for (let batch = 0; batch < 20; batch++) {
        const names = Array.from({ length: 25 }, (_, at) => `other-${batch}-${at}`)
        await Promise.all(names.map((name) => harness.createSecret(namespace, name, { password: 'x' })))
        await Promise.all(names.map((name) => harness.createConfigMap(namespace, name, { a: 'b' })))
        await Promise.all(names.map((name) => harness.admin.delete(secrets, { namespace, name })))
        await Promise.all(names.map((name) => harness.admin.delete(configMaps, { namespace, name })))
      }
    },
  },
]

function encoded(texts: object): object {
  const base64 = Object.entries(texts).map(([key, text]) => [key, Buffer.from(String(text)).toString('base64')])
  return { data: Object.fromEntries(base64) as object }
}
