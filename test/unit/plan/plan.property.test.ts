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

describe('whatever is observed', () => {
  it('comes to rest: once all is done and observed, nothing more is planned', async () => {
    await fc.assert(
      fc.asyncProperty(story, async (one) => {
        await play(
          one,
          () => undefined,
          async (_, world) => {
            // A Secret that stands in the way, or is not as it should be, is read anew at each look; nothing of it is kept.
            await world.settle(({ planned }) => {
              expect(planned.actions.filter((action) => !isRead(action))).toEqual([])
            })
          },
        )
      }),
      { numRuns: 300 },
    )
  }, 60_000)

  it('is left alone by a process that starts then: no Secret is changed, and where all was well, nothing at all', async () => {
    await fc.assert(
      fc.asyncProperty(story, async (one) => {
        await play(
          one,
          () => undefined,
          async ({ observed: { credential } }, world) => {
            const wasWell =
              ['Ready', 'RenewalHealthy'].every((type) => isTrue(credential.status, type)) &&
              !isTrue(credential.status, 'Stalled')
            world.restart()
            const before = versionsOf(world)
            await world.settle()
            const after = versionsOf(world)
            expect(after.secrets).toEqual(before.secrets)
            if (wasWell) expect(after).toEqual(before)
          },
        )
      }),
      { numRuns: 300 },
    )
  }, 60_000)

  it('is looked at again in time: never in the past, and before time alone brings something to do', async () => {
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

  it('lets no secret out: not in a plan, a status, an event or an assessment', async () => {
    await fc.assert(
      fc.asyncProperty(story, async (one) => {
        await play(one, (look, world) => {
          expectNoSecretIn(textOf(look, world.clock.now()))
          expectNoSecretIn(JSON.stringify([world.told, world.resource()]))
        })
      }),
      { numRuns: 150 },
    )
  }, 60_000)
})
