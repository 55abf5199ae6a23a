import { afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { customResourceDefinition } from '../../src/api/v1alpha1/crd.ts'
import { runToEnd } from '../support/run.ts'
import { eventually, useHarness } from './harness.ts'

const harness = useHarness()
let namespace: string
let sequence = 0

/** Rights of a tenant beside those on the resource. */
interface Rule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
  readonly resourceNames?: readonly string[]
}

const ownResource: Rule = { apiGroups: ['enos.io'], resources: ['enosappcredentials'], verbs: ['*'] }
const readSecrets: Rule = { apiGroups: [''], resources: ['secrets'], verbs: ['get'] }
const writeSecrets: Rule = { apiGroups: [''], resources: ['secrets'], verbs: ['create', 'patch'] }
const patchPods: Rule = { apiGroups: [''], resources: ['pods'], verbs: ['patch'] }
const patchWorkloads: Rule = { apiGroups: ['apps'], resources: ['deployments', 'statefulsets'], verbs: ['patch'] }

const sixteen = [...Array(16).keys()]

beforeAll(async () => {
  namespace = await harness().namespace()
  // A policy takes effect a moment after its installation.
  const nobody = await tenant([])
  let tries = 0
  await eventually(
    async () => expect((await apply(nobody, `probe-${tries++}`)).stderr).toContain('you may not'),
    20_000,
  )
  // Each policy by itself.
  const withoutHeaders = await tenant([writeSecrets, { ...readSecrets, resourceNames: ['enos-app'] }])
  const gateway = headersOf('payroll')
  await eventually(
    async () => expect((await apply(withoutHeaders, `probe-${tries++}`, { gateway })).stderr).toContain('you may not'),
    20_000,
  )
})

afterEach(async () => {
  await harness().kubectl(['-n', namespace, 'delete', 'enosappcredentials,rolebindings,roles', '--all'])
})

function headerFrom(secret: string, at = 0): object {
  return { name: `x-${secret}-${at}`, secretKeyRef: { name: secret, key: 'value' } }
}

function headersOf(...secrets: readonly string[]): object {
  return { url: 'https://apim.example.com', headersFrom: secrets.map(headerFrom) }
}

/** A user with these rights in the namespace. @returns its name */
async function tenant(rules: readonly Rule[]): Promise<string> {
  const name = `tenant-${sequence++}`
  const role = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name, namespace } }
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name, namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ kind: 'User', name }],
  }
  const objects = [{ ...role, rules: [ownResource, ...rules] }, binding]
  await harness().kubectl(['apply', '-f', '-'], JSON.stringify({ kind: 'List', apiVersion: 'v1', items: objects }))
  // The API server learns of a new Role and its binding a moment after their creation.
  const canCreate = ['-n', namespace, 'auth', 'can-i', 'create', 'enosappcredentials']
  await eventually(async () => expect((await kubectlAs(name, canCreate)).code).toBe(0), 20_000)
  return name
}

/** Applies a resource as a tenant. */
async function apply(
  as: string,
  name: string,
  spec: Record<string, unknown> = {},
): Promise<{ code: number | null; stderr: string }> {
  const credential = {
    apiVersion: 'enos.io/v1alpha1',
    kind: 'EnosAppCredential',
    metadata: { name, namespace },
    spec: {
      gateway: { url: 'https://apim.example.com' },
      appKeyRef: { name: 'enos-app' },
      appSecretRef: { name: 'enos-app' },
      targets: [{ name: 'enos-token' }],
      ...spec,
    },
  }
  return await kubectlAs(as, ['apply', '-f', '-'], JSON.stringify(credential))
}

async function kubectlAs(as: string, args: readonly string[], input = '') {
  const kubectl = `${inject('assets')}/kubectl`
  return await runToEnd(kubectl, ['--kubeconfig', inject('adminKubeconfig'), '--as', as, ...args], { input })
}

describe('a tenant', () => {
  it('a tenant with all rights may use as many targets and workloads as a resource can have', async () => {
    const name = await tenant([readSecrets, writeSecrets, patchPods, patchWorkloads])
    const { code, stderr } = await apply(name, 'all', {
      gateway: {
        url: 'https://apim.example.com',
        caRef: { kind: 'Secret', name: 'plant-ca' },
        headersFrom: sixteen.slice(0, 8).map((at) => headerFrom(`header-${at}`)),
      },
      targets: sixteen.map((at) => ({ name: `token-${at}` })),
      propagation: 'Immediate',
      restartOnRenewal: sixteen.map((at) => ({ kind: at % 2 === 0 ? 'Deployment' : 'StatefulSet', name: `app-${at}` })),
    })
    expect(stderr).toBe('')
    expect(code).toBe(0)
  })

  it('a tenant with these rights by name needs no others', async () => {
    const { code, stderr } = await apply(
      await tenant([
        { ...readSecrets, resourceNames: ['enos-app'] },
        { ...writeSecrets, verbs: ['create'] },
        { ...writeSecrets, verbs: ['patch'], resourceNames: ['enos-token'] },
      ]),
      'by-name',
    )
    expect(stderr).toBe('')
    expect(code).toBe(0)
  })

  const merge = { creationPolicy: 'Merge', data: { token: '{{ accessToken }}' } }
  const caRef = (kind: string): object => ({ url: 'https://apim.example.com', caRef: { kind, name: 'plant-ca' } })
  const workload = { kind: 'Deployment', name: 'reports' }
  it.each([
    ['read the source Secret', [writeSecrets], {}, 'spec.appKeyRef.name: you may not get secrets enos-app'],
    [
      'read the one with the appSecret',
      [writeSecrets, { ...readSecrets, resourceNames: ['enos-app'] }],
      { appSecretRef: { name: 'payroll' } },
      'spec.appSecretRef.name: you may not get secrets payroll',
    ],
    [
      'read the Secret of the CA',
      [writeSecrets, { ...readSecrets, resourceNames: ['enos-app'] }],
      { gateway: caRef('Secret') },
      'spec.gateway.caRef.name: you may not get secrets plant-ca',
    ],
    [
      'read the ConfigMap of the CA',
      [writeSecrets, readSecrets],
      { gateway: caRef('ConfigMap') },
      'spec.gateway.caRef.name: you may not get configmaps plant-ca',
    ],
    [
      'read the Secret of a header',
      [writeSecrets, { ...readSecrets, resourceNames: ['enos-app', 'header-0'] }],
      { gateway: headersOf('header-0', 'payroll') },
      'spec.gateway.headersFrom[1].secretKeyRef.name: you may not get secrets payroll',
    ],
    [
      'read the Secret of the last of eight headers',
      [writeSecrets, { ...readSecrets, resourceNames: ['enos-app', 'mine'] }],
      { gateway: headersOf(...Array<string>(7).fill('mine'), 'payroll') },
      'spec.gateway.headersFrom[7].secretKeyRef.name: you may not get secrets payroll',
    ],
    [
      'create Secrets',
      [readSecrets, { ...writeSecrets, verbs: ['patch'] }],
      {},
      'spec.targets: you may not create secrets',
    ],
    [
      'patch the last of sixteen targets',
      [readSecrets, writeSecrets].map((rule, at) =>
        at === 0 ? rule : { ...rule, resourceNames: sixteen.slice(0, 15).map((n) => `token-${n}`) },
      ),
      { targets: sixteen.map((at) => ({ name: `token-${at}`, ...merge })) },
      'spec.targets[15].name: you may not patch secrets token-15',
    ],
    [
      'patch pods',
      [readSecrets, writeSecrets],
      { propagation: 'Immediate' },
      'spec.propagation: you may not patch pods',
    ],
    [
      'patch the workload',
      [readSecrets, writeSecrets, { ...patchWorkloads, resources: ['statefulsets'] }],
      { restartOnRenewal: [workload] },
      'spec.restartOnRenewal[0]: you may not patch Deployment reports',
    ],
  ] as const)('who may not %s cannot have it done', async (_, rules, spec, message) => {
    const { code, stderr } = await apply(await tenant(rules), 'refused', spec)
    expect(code).toBe(1)
    expect(stderr).toContain(`${message} in this namespace, so EnosAppCredential may not do it for you`)
  })

  it('a tenant that merges keys into existing Secrets needs no right to create any', async () => {
    const name = await tenant([readSecrets, { ...writeSecrets, verbs: ['patch'] }])
    const { stderr } = await apply(name, 'merged', { targets: [{ name: 'shared', ...merge }] })
    expect(stderr).toBe('')
  })

  it('a tenant without rights to the Secrets may request a renewal and delete, but not change the spec', async () => {
    await apply(await tenant([readSecrets, writeSecrets]), 'shared')
    const other = await tenant([])
    const on = ['-n', namespace, 'enosappcredential', 'shared']
    const annotated = await kubectlAs(other, ['annotate', ...on, 'enos.io/renew-requested-at=now'])
    expect(annotated.stderr).toBe('')
    const stolen = { spec: { gateway: { url: 'https://attacker.example.com' } } }
    const patched = await kubectlAs(other, ['patch', ...on, '--type=merge', '-p', JSON.stringify(stolen)])
    expect(patched.stderr).toContain('you may not get secrets enos-app')
    const deleted = await kubectlAs(other, ['delete', ...on])
    expect(deleted.stderr).toBe('')
  })
})

describe('the admission policy with a CRD of an earlier version', () => {
  interface Schema {
    default?: unknown
    properties: Record<string, Schema | undefined>
    items?: Schema
  }

  /** The CRD as it was with defaults in lists, without headersFrom and without a default status. */
  function earlierCrd(): object {
    const crd = structuredClone(customResourceDefinition()) as unknown as {
      spec: { versions: [{ schema: { openAPIV3Schema: Schema } }] }
    }
    const { properties } = crd.spec.versions[0].schema.openAPIV3Schema
    const { gateway, targets } = properties['spec']?.properties ?? {}
    const target = targets?.items?.properties ?? {}
    Object.assign(target['creationPolicy'] ?? {}, { default: 'Owner' })
    Object.assign(target['deletionPolicy'] ?? {}, { default: 'Delete' })
    delete gateway?.properties['headersFrom']
    delete properties['status']?.default
    const withoutRules = JSON.stringify(crd, (key, value: unknown) => (key === 'x-kubernetes-validations' ? [] : value))
    return JSON.parse(withoutRules) as object
  }

  afterEach(async () => {
    await harness().kubectl(['apply', '-f', '-'], JSON.stringify(customResourceDefinition()))
  })

  it('asks for the right to create Secrets only where a target is not merged', async () => {
    await harness().kubectl(['apply', '-f', '-'], JSON.stringify(earlierCrd()))
    const name = await tenant([readSecrets, { ...writeSecrets, verbs: ['patch'] }])
    let tries = 0
    await eventually(async () => {
      await apply(await tenant([readSecrets, writeSecrets]), `earlier-${tries}`)
      const applied = await harness().getCredential(namespace, `earlier-${tries++}`)
      expect(applied.spec).toHaveProperty(['targets', 0, 'creationPolicy'], 'Owner')
    }, 20_000)
    expect((await apply(name, 'owned')).stderr).toContain('spec.targets: you may not create secrets')
    const merged = { targets: [{ name: 'shared', creationPolicy: 'Merge', data: { token: '{{ accessToken }}' } }] }
    expect((await apply(name, 'merged-earlier', merged)).stderr).toBe('')
  })
})
