import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { isNotFound } from '../../src/kubernetes/errors.ts'
import { credentials, type KubernetesObject, leases } from '../../src/kubernetes/types.ts'
import { selfSigned } from '../support/certificate.ts'
import { delay, eventually, useHarness } from './harness.ts'
import type { OperatorProcess } from './operator-process.ts'
import { type Step, type StepName, steps, type World } from './permission-steps.ts'
import {
  identityWith,
  permissionsOf,
  removeClusterRoles,
  type Roles,
  type Scope,
  shippedRoles,
  without,
} from './shipped-permissions.ts'

const harness = useHarness()
let shipped: Readonly<Record<Scope, Roles>>
let outside: Pick<World, 'gateway' | 'tls'>

/** Resolves when the failure of a step shows. */
type Symptom = (world: World, operator: OperatorProcess, step: Step) => Promise<void>

/** The resource's condition shows the failure. */
function shows(type: string, expected: string): Symptom {
  return ({ harness, namespace }, _, { credential = '' }) =>
    harness.expectCondition(namespace, credential, type, expected)
}

/** Only the log shows which call was refused. */
function logs(call: string): Symptom {
  return (world, operator) =>
    eventually(() => {
      const details = operator.log().map(({ detail }) => String(detail))
      expect(details).toContainEqual(expect.stringMatching(`^${call} ${world.namespace}(/\\S+)?: HTTP 403 Forbidden$`))
    })
}

/** With one worker, which no failing step may block. */
const holdsUpNoOther: Symptom = async (world, operator, step) => {
  await logs('list configmaps')(world, operator, step)
  const other = steps['syncs a new resource']
  await other.act(world)
  await eventually(() => other.happened(world))
  expect(await operator.probe('/healthz')).toBe(200)
}

const ends: Symptom = async (_, operator) => expect(await operator.exited()).toBe(1)

const cannotRead = shows('Ready', 'False/SourceForbidden')
const cannotPropagate = shows('Propagated', 'False/PropagationForbidden')

/** The step that fails without each permission, and how the failure shows. */
const needs: Readonly<Record<string, readonly [StepName, Symptom]>> = {
  'enos.io/enosappcredentials list': ['starts its workers', logs('list enosappcredentials')],
  'enos.io/enosappcredentials watch': ['syncs a new resource', logs('watch enosappcredentials')],
  'enos.io/enosappcredentials get': [
    'reports the status of a resource that was written meanwhile',
    logs('get enosappcredentials'),
  ],
  'enos.io/enosappcredentials patch': [
    'merges keys into a Secret and prunes them later',
    logs('patch enosappcredentials'),
  ],
  'enos.io/enosappcredentials/status patch': ['syncs a new resource', logs('patch enosappcredentials/status')],
  'secrets list': ['starts its workers', logs('list secrets')],
  'secrets watch': ['syncs a new resource', shows('Ready', 'False/SourceSecretNotFound')],
  'secrets get': ['syncs a new resource', cannotRead],
  'secrets create': ['syncs a new resource', shows('Ready', 'False/TargetWriteFailed')],
  'secrets patch': ['writes a new token to a target', shows('Stalled', 'True/TargetWriteFailed')],
  'secrets delete': ['recreates a target whose type changed', shows('Stalled', 'True/TargetWriteFailed')],
  'configmaps list': ['trusts the CA in a ConfigMap', holdsUpNoOther],
  'configmaps watch': ['trusts a CA after it was corrected', logs('watch configmaps')],
  'configmaps get': ['trusts the CA in a ConfigMap', cannotRead],
  'events.k8s.io/events create': ['reports a first sync in an event', logs('create events')],
  'events.k8s.io/events patch': ['counts repeated events', logs('patch events')],
  'coordination.k8s.io/leases get of enos-credential-operator': ['starts its workers', logs('get leases')],
  'coordination.k8s.io/leases watch of enos-credential-operator': [
    'follows the lease of another replica',
    logs('watch leases'),
  ],
  'coordination.k8s.io/leases create': ['starts its workers', logs('create leases')],
  'coordination.k8s.io/leases update of enos-credential-operator': ['keeps the lease', ends],
  'pods list': ['propagates a new token to pods', cannotPropagate],
  'pods patch': ['propagates a new token to pods', cannotPropagate],
  'apps/deployments get': ['restarts a Deployment', cannotPropagate],
  'apps/deployments patch': ['restarts a Deployment', cannotPropagate],
  'apps/statefulsets get': ['restarts a StatefulSet', cannotPropagate],
  'apps/statefulsets patch': ['restarts a StatefulSet', cannotPropagate],
  'apps/daemonsets get': ['restarts a DaemonSet', cannotPropagate],
  'apps/daemonsets patch': ['restarts a DaemonSet', cannotPropagate],
}

/** An extreme lag of a watch: writes after the start never arrive. */
const laggingWatch = 'enos.io/enosappcredentials watch'

/** Permissions to remove as well, without which the need does not show. */
const hiddenBy: Readonly<Record<string, string>> = { 'enos.io/enosappcredentials get': laggingWatch }

const methods: Readonly<Record<string, string>> = { create: 'POST', update: 'PUT', patch: 'PATCH', delete: 'DELETE' }

beforeAll(async () => {
  shipped = {
    cluster: await shippedRoles(harness(), 'cluster'),
    namespaced: await shippedRoles(harness(), 'namespaced'),
  }
  const { cert, key } = selfSigned()
  const tls = { cert, gateway: await harness().gateway({ tls: { cert, key } }) }
  outside = { gateway: await harness().gateway({ lifetimeSeconds: 7200 }), tls }
})

afterAll(() => removeClusterRoles(harness()))

/** A new namespace, and a function that starts an operator with these roles only. */
async function prepare(
  roles: Roles,
  toDo: readonly Step[],
  scope: Scope = 'namespaced',
): Promise<{ world: World; start: () => Promise<OperatorProcess> }> {
  const namespace = await harness().namespace()
  const world = { ...outside, harness: harness(), namespace }
  const kubeconfig = await identityWith(harness(), namespace, roles)
  for (const step of toDo) await step.prepare?.(world)
  const args = ['--leader-elect-namespace', namespace]
  const env = {
    ENOS_MAX_CONCURRENT_RECONCILES: '1',
    ...(scope === 'cluster' ? {} : { ENOS_NAMESPACE: namespace }),
  }
  return { world, start: () => harness().operator({ kubeconfig, args, env }) }
}

/** Waits for the namespaces of other files: calls in a terminating namespace are refused. */
async function clearOthers(): Promise<void> {
  const left = async (): Promise<readonly KubernetesObject[]> =>
    (await harness().admin.list(credentials, undefined)).items
  for (const { metadata } of await left()) {
    const { name = '', namespace = '' } = metadata
    try {
      await harness().patchCredential(namespace, name, { metadata: { finalizers: [] } })
    } catch (error) {
      // Its namespace is being deleted, and it was just now.
      if (!isNotFound(error)) throw error
    }
    await harness().kubectl(['-n', namespace, 'delete', 'enosappcredential', name, '--ignore-not-found'])
  }
  await eventually(async () => expect(await left()).toEqual([]))
}

async function refusals(operator: OperatorProcess, method?: string): Promise<number> {
  return await operator.metric('rest_client_requests_total', { code: '403', ...(method && { method }) })
}

describe('the permissions of the manifests', () => {
  it('each permission is granted once in both scopes and has its need in the table', () => {
    const needed = Object.keys(needs).sort()
    expect(permissionsOf(shipped.cluster)).toEqual(needed)
    expect(permissionsOf(shipped.namespaced)).toEqual(needed)
  })

  it.each(['cluster', 'namespaced'] as const)('no call of any step is refused (scope %s)', async (scope) => {
    const all: readonly Step[] = Object.values(steps)
    if (scope === 'cluster') await clearOthers()
    const { start, world } = await prepare(shipped[scope], all, scope)
    const { namespace } = world
    const first = await (await start()).working()
    // Left behind by a failure, it would do the work of operators without a permission.
    onTestFinished(async () => {
      await first.end()
    })
    await Promise.all(
      all.map(async (step) => {
        await step.act(world, first)
        await eventually(() => step.happened(world, first), 30_000)
      }),
    )
    expect(await refusals(first)).toBe(0)
    expect(await first.end(), first.output).toBe(0)
    const lease = await harness().admin.get<KubernetesObject & { spec: { holderIdentity?: string } }>(leases, {
      namespace,
      name: 'enos-credential-operator',
    })
    expect(lease.spec.holderIdentity).toBe('')

    const second = await (await start()).working()
    onTestFinished(async () => {
      await second.end()
    })
    await harness().kubectl(['-n', namespace, 'delete', 'enosappcredentials', '--all'])
    expect(await harness().data(namespace, 'shared')).toEqual({ foreign: 'x' })
    expect(await refusals(second)).toBe(0)
    expect(await second.end(), second.output).toBe(0)
  })
})

/** In one namespace each, so that many run concurrently; the permissions for all namespaces are the same. */
describe.concurrent('without the permission', () => {
  it.each(Object.entries(needs).map(([permission, [step, symptom]]) => ({ permission, step, symptom })))(
    'without $permission the operator no longer $step',
    async ({ permission, step: name, symptom }) => {
      const step: Step = steps[name]
      const hider = hiddenBy[permission]
      const roles = hider === undefined ? shipped.namespaced : without(shipped.namespaced, hider)
      if (hider !== undefined) await happens(step, roles)

      const { start, world } = await prepare(without(roles, permission), [step])
      const operator = await start()
      if (name !== 'starts its workers') await operator.working()
      await step.act(world, operator)
      const [, verb = ''] = permission.split(' ')
      const method = methods[verb] ?? 'GET'
      await eventually(async () => expect(await refusals(operator, method)).toBeGreaterThan(0))
      const all = await refusals(operator)
      expect(await refusals(operator, method)).toBeGreaterThanOrEqual(all)
      await symptom(world, operator, step)
      await staysAway(step, world, operator)
      if (symptom !== ends) expect(await operator.end(), operator.output).toBe(0)
    },
  )
})

async function happens(step: Step, roles: Roles): Promise<void> {
  const { start, world } = await prepare(roles, [step])
  const operator = await (await start()).working()
  await step.act(world, operator)
  await eventually(() => step.happened(world, operator))
  await operator.end()
}

/** Time for the operator to reach the same result by a detour. */
async function staysAway(step: Step, world: World, operator: OperatorProcess): Promise<void> {
  const until = performance.now() + 500
  while (performance.now() < until) {
    await expect(step.happened(world, operator)).rejects.toMatchObject({ name: 'AssertionError' })
    await delay(50)
  }
}
