import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { credentials, secrets } from '../../src/kubernetes/types.ts'
import { runToEnd } from '../support/run.ts'
import { delay, eventually, type Keys, useHarness } from './harness.ts'
import { identityWith, removeClusterRoles, type Roles, shippedRoles } from './shipped-permissions.ts'

const harness = useHarness()
let gateway: Simulator
let namespace: string

beforeAll(async () => {
  gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  namespace = await harness().namespace()
  await (await harness().operator({ env: { ENOS_NAMESPACE: namespace } })).working()
})

afterAll(() => removeClusterRoles(harness()))

function application(): Keys {
  const keys = harness().keys()
  gateway.service.addApplication(keys)
  return keys
}

/** Longer than the garbage collector takes. */
const collectedMs = 5000

const setPolicy = (name: string, deletionPolicy: string, rest: object = {}): Promise<void> =>
  harness().patchCredential(namespace, name, {
    spec: { targets: [{ name: `${name}-token`, deletionPolicy }], ...rest },
  })

/** Waits until the operator has applied a changed policy. */
async function expectOwners(name: string, count: number): Promise<void> {
  await eventually(async () => {
    const secret = await harness().getSecret(namespace, `${name}-token`)
    expect(secret?.metadata.ownerReferences ?? []).toHaveLength(count)
  }, 5000)
}

/** What keeps the operator from writing a token. */
const obstacles: [string, string, (name: string) => Promise<void>][] = [
  [
    'while suspended',
    'suspended',
    async (name) => {
      await harness().patchCredential(namespace, name, { spec: { suspend: true } })
      await harness().expectCondition(namespace, name, 'Ready', 'True/Suspended')
    },
  ],
  [
    'while a source is missing',
    'sourceless',
    async (name) => {
      await harness().deleteSecret(namespace, `${name}-app`)
      await harness().expectCondition(namespace, name, 'RenewalHealthy', 'False/SourceSecretNotFound')
    },
  ],
  [
    'while the gateway is away',
    'gatewayless',
    async (name) => {
      const url = 'http://127.0.0.1:9'
      await harness().patchCredential(namespace, name, { spec: { gateway: { url } } })
      await harness().expectCondition(namespace, name, 'RenewalHealthy', 'False/GatewayUnreachable')
    },
  ],
  ['just before the deletion', 'hasty', () => Promise.resolve()],
]

describe.concurrent('the operator: deletionPolicy changed on a written target', () => {
  it.each(obstacles)('a change to Retain %s keeps the Secret from the garbage collector', async (_, name, hinder) => {
    await harness().createCredential(namespace, name, gateway, application())
    await harness().expectReady(namespace, name)
    const before = await harness().data(namespace, `${name}-token`)
    await hinder(name)
    await setPolicy(name, 'Retain')
    await expectOwners(name, 0)
    await harness().deleteCredential(namespace, name)
    await delay(collectedMs)
    expect(await harness().data(namespace, `${name}-token`)).toEqual(before)
    const { metadata } = (await harness().getSecret(namespace, `${name}-token`)) ?? { metadata: {} }
    expect(metadata.ownerReferences).toBeUndefined()
    expect(metadata.annotations).toMatchObject({ 'enos.io/credential': name })
  })

  it('a change back to Delete while suspended lets the garbage collector delete the Secret', async () => {
    const name = 'back'
    await harness().createCredential(namespace, name, gateway, application(), {
      targets: [{ name: `${name}-token`, deletionPolicy: 'Retain' }],
    })
    await harness().expectReady(namespace, name)
    await setPolicy(name, 'Delete', { suspend: true })
    await expectOwners(name, 1)
    await harness().deleteCredential(namespace, name)
    await eventually(async () => expect(await harness().getSecret(namespace, `${name}-token`)).toBeUndefined(), 15_000)
  })
})

describe('the operator: without the permission to patch Secrets', () => {
  it('a finalizer keeps the resource, and blocks neither its deletion nor that of the namespace', async () => {
    const home = await harness().namespace()
    const own = await harness().namespace()
    const shipped = await shippedRoles(harness(), 'namespaced', ['namespaced/merge-cleanup'])
    const isOfCluster = ({ kind }: Roles[number]): boolean => kind?.startsWith('Cluster') === true
    const roles = shipped.filter((role) => !isOfCluster(role))
    // The operator lives in another namespace, so that its rights to remove finalizers outlive this one.
    const kubeconfig = await identityWith(harness(), home, shipped)
    await repeatRoles(own, home, roles)
    const operator = await harness().operator({ kubeconfig, env: { ENOS_NAMESPACE: own } })
    await operator.working()
    for (const name of ['one', 'two']) {
      await harness().createCredential(own, name, gateway, application())
      await harness().expectReady(own, name)
    }
    await denySecretPatches(own, `system:serviceaccount:${home}:enos-credential-operator`)
    for (const name of ['one', 'two']) {
      await harness().patchCredential(own, name, {
        spec: { suspend: true, targets: [{ name: `${name}-token`, deletionPolicy: 'Retain' }] },
      })
      await eventually(async () => {
        const { metadata } = await harness().getCredential(own, name)
        expect(metadata.finalizers).toEqual(['enos.io/merge-cleanup'])
      })
    }
    await harness().deleteCredential(own, 'one')
    await eventually(async () => {
      const { items } = await harness().admin.list(credentials, own)
      expect(items.map(({ metadata }) => metadata.name)).toEqual(['two'])
    })
    await eventually(async () => expect(await harness().eventReasons(own, 'one')).toContain('TargetWriteFailed'))
    await harness().kubectl(['delete', 'namespace', own, '--wait=false'])
    await eventually(async () => {
      expect((await harness().admin.list(credentials, own)).items).toEqual([])
      expect((await harness().admin.list(secrets, own)).items).toEqual([])
    }, 30_000)
    expect(await operator.end()).toBe(0)
  })
})

async function repeatRoles(own: string, home: string, roles: Roles): Promise<void> {
  const items = roles.map(({ metadata, subjects, ...rest }) => ({
    ...rest,
    metadata: { name: metadata.name, namespace: own },
    ...(subjects === undefined ? {} : { subjects: subjects.map((subject) => ({ ...subject, namespace: home })) }),
  }))
  await harness().kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
}

/** Takes the right to patch Secrets out of every Role of a namespace, and waits until the account lacks it. */
async function denySecretPatches(own: string, account: string): Promise<void> {
  interface Role {
    readonly metadata: { readonly name: string }
    readonly rules: readonly { readonly resources?: readonly string[]; readonly verbs: readonly string[] }[]
  }
  const { items } = JSON.parse(await harness().kubectl(['-n', own, 'get', 'roles', '-o', 'json'])) as { items: Role[] }
  for (const { metadata, rules } of items) {
    const without = rules.map((rule) =>
      rule.resources?.includes('secrets') === true
        ? { ...rule, verbs: rule.verbs.filter((verb) => verb !== 'patch') }
        : rule,
    )
    const patch = JSON.stringify({ rules: without })
    await harness().kubectl(['-n', own, 'patch', 'role', metadata.name, '--type', 'merge', '-p', patch])
  }
  const kubectl = join(harness().access.assets, 'kubectl')
  const question = ['auth', 'can-i', 'patch', 'secrets', '-n', own, '--as', account]
  await eventually(async () => {
    const { stdout } = await runToEnd(kubectl, ['--kubeconfig', harness().access.kubeconfig, ...question])
    expect(stdout).toBe('no\n')
  })
}
