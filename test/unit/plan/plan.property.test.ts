import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CredentialStatus } from '../../../src/api/v1alpha1/status-schema.ts'
import { secrets } from '../../../src/kubernetes/types.ts'
import { validUntil } from '../../../src/observe/validity.ts'
import type { Action } from '../../../src/plan/actions.ts'
import { plan } from '../../../src/plan/plan.ts'
import { minuteMs } from '../../support/builders.ts'
import { play, story } from './plan-stories.ts'
import { expectNoSecretIn, type PlanWorld, textOf } from './plan-world.ts'

function isTrue({ conditions }: CredentialStatus, type: string): boolean {
  return conditions.find((condition) => condition.type === type)?.status === 'True'
}

function versionsOf(world: PlanWorld) {
  const versions = { secrets: world.api.all(secrets), resource: world.resource() }
  return JSON.parse(
    JSON.stringify(versions, ['secrets', 'resource', 'metadata', 'name', 'resourceVersion']),
  ) as typeof versions
}

const isRead = ({ do: kind }: Action): boolean => kind === 'fetchTarget'

describe('plan', () => {
  it('a plan becomes empty once its actions are executed and observed', async () => {
    await fc.assert(
      fc.asyncProperty(story, async (one) => {
        await play(
          one,
          () => undefined,
          async (_, world) => {
            // The content of a conflicting or drifted Secret is not kept, so each pass reads it again.
            await world.converge(({ planned }) => {
              expect(planned.actions.filter((action) => !isRead(action))).toEqual([])
            })
          },
        )
      }),
      { numRuns: 300 },
    )
  }, 60_000)

  it('a restart after convergence changes no Secret, and nothing at all when the resource was Ready and RenewalHealthy', async () => {
    await fc.assert(
      fc.asyncProperty(story, async (one) => {
        await play(
          one,
          () => undefined,
          async ({ observed: { credential } }, world) => {
            const wasHealthy =
              ['Ready', 'RenewalHealthy'].every((type) => isTrue(credential.status, type)) &&
              !isTrue(credential.status, 'Stalled')
            world.restart()
            const before = versionsOf(world)
            await world.converge()
            const after = versionsOf(world)
            expect(after.secrets).toEqual(before.secrets)
            if (wasHealthy) expect(after).toEqual(before)
          },
        )
      }),
      { numRuns: 300 },
    )
  }, 60_000)

  it('requeueAt is never in the past, and no action becomes due before it by time alone', async () => {
    await fc.assert(
      fc.asyncProperty(story, fc.double({ min: 0, max: 1, noNaN: true }), async (one, share) => {
        await play(
          one,
          ({ observed, planned: { actions, requeueAt } }, { clock }) => {
            if (requeueAt !== undefined) {
              expect(requeueAt).toBeGreaterThan(clock.now())
              expect(requeueAt).toBeLessThanOrEqual(clock.now() + 10 * minuteMs)
            } else if (actions.length === 0) {
              expect(observed.credential.isDeleting).toBe(true)
            }
          },
          ({ observed, planned: { requeueAt } }, { clock }) => {
            if (requeueAt === undefined) return
            if (isTrue(observed.credential.status, 'Ready')) {
              expect(requeueAt).toBeLessThanOrEqual(validUntil(observed) ?? 0)
            }
            const between = clock.now() + Math.floor((requeueAt - 1 - clock.now()) * share)
            for (const at of [between, requeueAt - 1]) expect(plan(observed, at).actions).toEqual([])
          },
        )
      }),
      { numRuns: 300 },
    )
  }, 60_000)

  it('a plan, status, event or assessment contains no secret', async () => {
    await fc.assert(
      fc.asyncProperty(story, async (one) => {
        await play(one, (iteration, world) => {
          expectNoSecretIn(textOf(iteration, world.clock.now()))
          expectNoSecretIn(JSON.stringify([world.emitted, world.resource()]))
        })
      }),
      { numRuns: 150 },
    )
  }, 60_000)
})
