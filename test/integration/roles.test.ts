import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { eventually, useHarness } from './harness.ts'
import type { OperatorProcess } from './operator-process.ts'
import { grant, identityWith, removeClusterRoles, type Roles, shippedRoles } from './shipped-permissions.ts'

const harness = useHarness()
let roles: Roles
/** From the component merge-cleanup. */
let clusterRoles: Roles
let gateway: Simulator

beforeAll(async () => {
  gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  const shipped = await shippedRoles(harness(), 'namespaced', ['namespaced/merge-cleanup'])
  clusterRoles = shipped.filter(({ kind }) => kind?.startsWith('Cluster'))
  roles = shipped.filter((role) => !clusterRoles.includes(role))
})

afterAll(() => removeClusterRoles(harness()))

interface World {
  /** The operator's own namespace. */
  readonly home: string
  /** A namespace in which it has a Role and a RoleBinding only. */
  readonly namespace: string
  readonly operator: OperatorProcess
}

/** A ready resource and its operator, which lives in another namespace and so outlives this one. */
async function setUp(targets: readonly object[]): Promise<World> {
  const home = await harness().namespace()
  const namespace = await harness().namespace()
  const kubeconfig = await identityWith(harness(), home, roles)
  await repeatRoles(namespace, home)
  const operator = await harness().operator({ kubeconfig, env: { ENOS_NAMESPACE: namespace } })
  await operator.working()
  const keys = harness().keys()
  gateway.service.addApplication(keys)
  await harness().createSecret(namespace, 'theirs', { own: 'value' })
  await harness().createCredential(namespace, 'in-it', gateway, keys, { targets })
  await harness().expectReady(namespace, 'in-it')
  return { home, namespace, operator }
}

/** Role and RoleBinding in one more namespace, as the comment of deploy/namespaced has it. */
async function repeatRoles(namespace: string, home: string): Promise<void> {
  const items = roles.map(({ metadata, subjects, ...rest }) => ({
    ...rest,
    metadata: { name: metadata.name, namespace },
    ...(subjects === undefined ? {} : { subjects: subjects.map((subject) => ({ ...subject, namespace: home })) }),
  }))
  await harness().kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
}

async function deleteNamespace(namespace: string): Promise<void> {
  await harness().kubectl(['delete', 'namespace', namespace, '--wait=true', '--timeout=60s'])
}

/** The finalizers that block the namespace. */
async function waitsFor(namespace: string): Promise<string> {
  const condition = '{.status.conditions[?(@.type=="NamespaceFinalizersRemaining")].message}'
  return await harness().kubectl(['get', 'namespace', namespace, '-o', `jsonpath=${condition}`])
}

const owned = { name: 'owned' }
const merged = { name: 'theirs', creationPolicy: 'Merge', data: { token: '{{ accessToken }}' } }

/** The namespace controller deletes contents in no fixed order, Roles included. */
describe('the deletion of a namespace in which the operator has Roles only', { timeout: 120_000 }, () => {
  it.each([
    ['targets of its own', [owned]],
    ['merged keys that are retained', [{ ...merged, deletionPolicy: 'Retain' }]],
  ])('is not held up by %s, though the RoleBindings go first', async (_, targets) => {
    const { namespace, operator } = await setUp(targets)
    await harness().kubectl(['-n', namespace, 'delete', 'rolebindings', '--all'])
    await deleteNamespace(namespace)
    expect(await operator.end()).toBe(0)
  })

  it('a namespace whose resources were deleted first goes, merged keys or not', async () => {
    const { namespace, operator } = await setUp([owned, merged])
    await harness().kubectl(['-n', namespace, 'delete', 'enosappcredentials', '--all', '--timeout=30s'])
    expect(await harness().data(namespace, 'theirs')).toEqual({ own: 'value' })
    await deleteNamespace(namespace)
    expect(await operator.end()).toBe(0)
  })

  it('a namespace with merged keys goes with the component merge-cleanup', async () => {
    const { home, namespace, operator } = await setUp([owned, merged])
    await grant(harness(), home, clusterRoles)
    await harness().kubectl(['-n', namespace, 'delete', 'rolebindings', '--all'])
    await deleteNamespace(namespace)
    expect(await operator.end()).toBe(0)
  })

  it('a namespace with merged keys waits without that component and goes when it is added', async () => {
    const { home, namespace, operator } = await setUp([owned, merged])
    await harness().kubectl(['-n', namespace, 'delete', 'rolebindings', '--all'])
    await harness().kubectl(['delete', 'namespace', namespace, '--wait=false'])
    await eventually(async () => expect(await waitsFor(namespace)).toContain('enos.io/merge-cleanup in 1 resource'))
    await eventually(() => {
      const details = operator.log().map(({ detail }) => detail)
      expect(details).toContain(`patch enosappcredentials ${namespace}/in-it: HTTP 403 Forbidden`)
    })

    await grant(harness(), home, clusterRoles)
    await deleteNamespace(namespace)
    expect(await operator.end()).toBe(0)
  })
})

it('a namespace without a Role blocks no other namespace and is served as soon as it has one', async () => {
  const home = await harness().namespace()
  const namespace = await harness().namespace()
  const kubeconfig = await identityWith(harness(), home, roles)
  for (const name of [home, namespace]) {
    const keys = harness().keys()
    gateway.service.addApplication(keys)
    await harness().createCredential(name, 'wind', gateway, keys)
  }
  const operator = await harness().operator({ kubeconfig, env: { ENOS_NAMESPACE: `${namespace},${home}` } })
  await operator.working()
  await harness().expectReady(home, 'wind')
  expect(operator.log()).toContainEqual(expect.objectContaining({ level: 'warn', namespaces: [namespace] }))
  await repeatRoles(namespace, home)
  await harness().expectReady(namespace, 'wind', 45_000)
  expect(await operator.end()).toBe(0)
})
