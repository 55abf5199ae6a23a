import { expect } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { type Workload, workloadTypes } from '../../src/consumers/workloads.ts'
import { events, type KubernetesObject, leases, pods } from '../../src/kubernetes/types.ts'
import { eventually, type Harness, type Keys } from './harness.ts'
import type { OperatorProcess } from './operator-process.ts'

/** A namespace with its own operator. */
export interface World {
  readonly harness: Harness
  readonly namespace: string
  readonly gateway: Simulator
  /** A gateway with a certificate of an unknown CA, and that certificate. */
  readonly tls: { readonly gateway: Simulator; readonly cert: string }
}

/** Something that the operator does for its users. Steps are independent of each other. */
export interface Step {
  /** The resource of the step. */
  readonly credential?: string
  /** Creates what must exist before the operator starts. */
  readonly prepare?: (world: World) => Promise<unknown>
  /** Triggers the operator. */
  readonly act: (world: World, operator: OperatorProcess) => Promise<unknown>
  /** An assertion that fails until the operator has done it. */
  readonly happened: (world: World, operator: OperatorProcess) => Promise<void>
}

const merge = { creationPolicy: 'Merge', data: { token: '{{ accessToken }}' } }
const template = { metadata: { labels: { app: 'x' } }, spec: { containers: [{ name: 'c', image: 'none' }] } }

async function create(world: World, name: string, spec: Record<string, unknown> = {}): Promise<Keys> {
  const { gateway, harness, namespace } = world
  const keys = harness.keys()
  gateway.service.addApplication(keys)
  await harness.createCredential(namespace, name, gateway, keys, spec)
  return keys
}

/** Resolves when the credential is ready with its first token. */
async function createReady(world: World, name: string, spec: Record<string, unknown> = {}): Promise<Keys> {
  const keys = await create(world, name, spec)
  await world.harness.expectReady(world.namespace, name)
  return keys
}

/** Resolves when the gateway has refreshed. */
async function renew({ gateway, harness, namespace }: World, name: string, { appKey }: Keys): Promise<void> {
  const old = gateway.service.currentToken(appKey)
  const annotations = { 'enos.io/renew-requested-at': 'now' }
  await harness.patchCredential(namespace, name, { metadata: { annotations } })
  await eventually(() => expect(gateway.service.currentToken(appKey)).not.toBe(old))
}

async function isReady({ harness, namespace }: World, name: string): Promise<void> {
  expect(await harness.condition(namespace, name, 'Ready')).toBe('True/Synced')
}

/** The keys of a Secret's data, sorted; none where the Secret does not exist. */
async function keysOf({ harness, namespace }: World, name: string): Promise<string[]> {
  return Object.keys((await harness.data(namespace, name)) ?? {}).sort()
}

/** The fingerprint of the token of a credential that is ready. */
async function fingerprint({ harness, namespace }: World, name: string): Promise<string> {
  return (await harness.getCredential(namespace, name)).status?.tokenFingerprint ?? ''
}

function createOverTls(world: World, name: string, caMap: string): Promise<void> {
  const { harness, namespace, tls } = world
  const keys = harness.keys()
  tls.gateway.service.addApplication(keys)
  const gateway = { url: tls.gateway.url, caRef: { kind: 'ConfigMap', name: caMap } }
  return harness.createCredential(namespace, name, tls.gateway, keys, { gateway })
}

/** Count of the events with this reason. */
async function countOf({ harness, namespace }: World, name: string, reason: string): Promise<number> {
  const { items } = await harness.admin.list<
    KubernetesObject & { regarding?: { name?: string }; reason?: string; series?: { count: number } }
  >(events, namespace)
  return items
    .filter((event) => event.regarding?.name === name && event.reason === reason)
    .reduce((sum, { series }) => sum + (series?.count ?? 1), 0)
}

function restartsA(kind: keyof typeof workloadTypes): Step {
  const credential = `restarts-${kind.toLowerCase()}`
  const type = workloadTypes[kind]
  return {
    credential,
    act: async (world) => {
      const { harness, namespace } = world
      const rest = kind === 'StatefulSet' ? { serviceName: 'x' } : {}
      const spec = { selector: { matchLabels: { app: 'x' } }, template, ...rest }
      await harness.admin.create(type, namespace, {
        apiVersion: 'apps/v1',
        kind,
        metadata: { name: credential },
        spec,
      })
      const keys = await createReady(world, credential, { restartOnRenewal: [{ kind, name: credential }] })
      await renew(world, credential, keys)
    },
    happened: async ({ harness, namespace }) => {
      const workload = await harness.admin.get<Workload>(type, { namespace, name: credential })
      const { annotations = {} } = workload.spec?.template?.metadata ?? {}
      expect(Object.keys(annotations)).toContain('kubectl.kubernetes.io/restartedAt')
    },
  }
}

export const steps = {
  'starts its workers': {
    act: async () => {
      // Starting needs no trigger.
    },
    happened: async (_, operator) => {
      expect(operator.log().map(({ msg }) => msg)).toContain('caches synced, starting workers')
      expect(await operator.probe('/readyz')).toBe(200)
    },
  },
  'follows the lease of another replica': {
    prepare: async ({ harness, namespace }) => {
      const metadata = { name: 'enos-credential-operator', namespace }
      const spec = { holderIdentity: 'other', leaseDurationSeconds: 3 }
      await harness.admin.create(leases, namespace, {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata,
        spec,
      })
    },
    act: (_, operator) => operator.working(),
    happened: async (_, operator) => {
      const log = await Promise.resolve(operator.log())
      expect(log.map(({ msg }) => msg)).toContain('the watched lease was released or has expired')
    },
  },
  'keeps the lease': {
    act: (_, operator) => operator.working(),
    happened: async ({ harness, namespace }) => {
      const ref = { namespace, name: 'enos-credential-operator' }
      const { spec } = await harness.admin.get<
        KubernetesObject & { spec: { acquireTime?: string; renewTime?: string } }
      >(leases, ref)
      expect(spec.renewTime).not.toBe(spec.acquireTime)
    },
  },
  'syncs a new resource': {
    credential: 'synced',
    act: (world) => create(world, 'synced'),
    happened: async (world) => {
      expect(await keysOf(world, 'synced-token')).toContain('accessToken')
      await isReady(world, 'synced')
    },
  },
  'reports the status of a resource that was written meanwhile': {
    credential: 'lagging',
    prepare: (world) => create(world, 'lagging'),
    act: async ({ harness, namespace }) => {
      await harness.expectReady(namespace, 'lagging')
      await harness.patchCredential(namespace, 'lagging', { metadata: { annotations: { 'example.com/note': 'x' } } })
      await harness.deleteSecret(namespace, 'lagging-token')
      await eventually(async () => expect(await harness.getSecret(namespace, 'lagging-token')).toBeDefined())
    },
    happened: async ({ harness, namespace }) => {
      const { status } = await harness.getCredential(namespace, 'lagging')
      const target = await harness.getSecret(namespace, 'lagging-token')
      expect(status?.targets.map(({ uid }) => uid)).toEqual([target?.metadata.uid])
    },
  },
  'merges keys into a Secret and prunes them later': {
    credential: 'merged',
    act: async (world) => {
      await world.harness.createSecret(world.namespace, 'shared', { foreign: 'x' })
      await create(world, 'merged', { targets: [{ name: 'shared', ...merge }] })
    },
    happened: async (world) => {
      const { harness, namespace } = world
      expect(await keysOf(world, 'shared')).toEqual(['foreign', 'token'])
      const { metadata } = await harness.getCredential(namespace, 'merged')
      expect(metadata.finalizers).toEqual(['enos.io/merge-cleanup'])
      await isReady(world, 'merged')
    },
  },
  'writes a new token to a target': {
    credential: 'renewed',
    act: async (world) => renew(world, 'renewed', await createReady(world, 'renewed')),
    happened: async ({ gateway, harness, namespace }) => {
      const { appKey } = (await harness.data(namespace, 'renewed-app')) ?? {}
      const target = await harness.data(namespace, 'renewed-token')
      expect(target?.['accessToken']).toBe(gateway.service.currentToken(appKey ?? ''))
    },
  },
  'repairs a target that was changed or deleted': {
    credential: 'repaired',
    act: async (world) => {
      const { harness, namespace } = world
      await createReady(world, 'repaired', { targets: [{ name: 'changed' }, { name: 'deleted' }] })
      await harness.patchSecret(namespace, 'changed', { data: { accessToken: null } })
      await harness.deleteSecret(namespace, 'deleted')
    },
    happened: async (world) => {
      for (const name of ['changed', 'deleted']) expect(await keysOf(world, name)).toContain('accessToken')
    },
  },
  'removes a target that left the spec': {
    credential: 'fewer',
    act: async (world) => {
      await createReady(world, 'fewer', { targets: [{ name: 'stays' }, { name: 'leaves' }] })
      await world.harness.patchCredential(world.namespace, 'fewer', { spec: { targets: [{ name: 'stays' }] } })
    },
    happened: async ({ harness, namespace }) => {
      expect(await harness.getSecret(namespace, 'leaves')).toBeUndefined()
    },
  },
  'recreates a target whose type changed': {
    credential: 'typed',
    act: async (world) => {
      await createReady(world, 'typed')
      const targets = [{ name: 'typed-token', type: 'example.com/x' }]
      await world.harness.patchCredential(world.namespace, 'typed', { spec: { targets } })
    },
    happened: async ({ harness, namespace }) => {
      expect((await harness.getSecret(namespace, 'typed-token'))?.type).toBe('example.com/x')
    },
  },
  'disowns a target that becomes a Merge target': {
    credential: 'given',
    act: async (world) => {
      await createReady(world, 'given')
      const targets = [{ name: 'given-token', ...merge }]
      await world.harness.patchCredential(world.namespace, 'given', { spec: { targets } })
    },
    happened: async (world) => {
      const { harness, namespace } = world
      expect(await keysOf(world, 'given-token')).toEqual(['token'])
      expect((await harness.getSecret(namespace, 'given-token'))?.metadata.ownerReferences).toBeUndefined()
    },
  },
  'trusts the CA in a ConfigMap': {
    credential: 'trusting',
    act: async (world) => {
      await world.harness.createConfigMap(world.namespace, 'ca', { 'ca.crt': world.tls.cert })
      await createOverTls(world, 'trusting', 'ca')
    },
    happened: (world) => isReady(world, 'trusting'),
  },
  'trusts a CA after it was corrected': {
    credential: 'corrected',
    act: async (world) => {
      const { harness, namespace, tls } = world
      await harness.createConfigMap(namespace, 'ca-corrected', { 'ca.crt': 'not a certificate' })
      await createOverTls(world, 'corrected', 'ca-corrected')
      await harness.expectCondition(namespace, 'corrected', 'Ready', 'False/InvalidCA')
      const patch = JSON.stringify({ data: { 'ca.crt': tls.cert } })
      await harness.kubectl(['-n', namespace, 'patch', 'configmap', 'ca-corrected', '--type=merge', '-p', patch])
    },
    happened: (world) => isReady(world, 'corrected'),
  },
  'reports a first sync in an event': {
    credential: 'told',
    act: (world) => createReady(world, 'told'),
    happened: async (world) => expect(await countOf(world, 'told', 'Synced')).toBe(1),
  },
  'counts repeated events': {
    credential: 'counted',
    act: async (world) => {
      const { harness, namespace } = world
      // Retain: no operator is left to remove a finalizer when the namespace is deleted.
      await create(world, 'counted', { targets: [{ name: 'counted-token', ...merge, deletionPolicy: 'Retain' }] })
      const isMissing = (): Promise<void> =>
        harness.expectCondition(namespace, 'counted', 'Ready', 'False/TargetMissing')
      await isMissing()
      await eventually(async () => expect(await countOf(world, 'counted', 'TargetMissing')).toBe(1))
      await harness.createSecret(namespace, 'counted-token', {})
      await harness.expectReady(namespace, 'counted')
      await harness.deleteSecret(namespace, 'counted-token')
      await isMissing()
    },
    happened: async (world) => expect(await countOf(world, 'counted', 'TargetMissing')).toBe(2),
  },
  'propagates a new token to pods': {
    credential: 'propagated',
    act: async (world) => {
      const { harness, namespace } = world
      const keys = await createReady(world, 'propagated', { propagation: 'Immediate' })
      const spec = {
        volumes: [{ name: 'v', secret: { secretName: 'propagated-token' } }],
        containers: [{ name: 'c', image: 'none', volumeMounts: [{ name: 'v', mountPath: '/v' }] }],
      }
      // Pods need the default service account, which is created a moment after the namespace.
      await eventually(() => harness.admin.create(pods, namespace, { metadata: { name: 'mounts' }, spec }))
      await renew(world, 'propagated', keys)
    },
    happened: async (world) => {
      const { metadata } = await world.harness.admin.get<KubernetesObject>(pods, {
        namespace: world.namespace,
        name: 'mounts',
      })
      expect(metadata.annotations?.['enos.io/token-fingerprint']).toBe(await fingerprint(world, 'propagated'))
    },
  },
  'restarts a Deployment': restartsA('Deployment'),
  'restarts a StatefulSet': restartsA('StatefulSet'),
  'restarts a DaemonSet': restartsA('DaemonSet'),
} as const satisfies Record<string, Step>

export type StepName = keyof typeof steps
