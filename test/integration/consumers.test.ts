import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { workloadTypes, type Workload } from '../../src/consumers/workloads.ts'
import { type KubernetesObject, pods } from '../../src/kubernetes/types.ts'
import type { Simulator } from '../../simulator/server.ts'
import { delay, eventually, type Keys, useHarness } from './harness.ts'
import type { OperatorProcess } from './operator-process.ts'
import { shippedRoles } from './shipped-permissions.ts'

const harness = useHarness()
let operator: OperatorProcess
let gateway: Simulator
let namespace: string

const fingerprintAnnotation = 'enos.io/token-fingerprint'
const restartedAt = 'kubectl.kubernetes.io/restartedAt'

beforeAll(async () => {
  gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  namespace = await harness().namespace()
  // One namespace only: this file counts refusals, and those of other namespaces would be among them.
  operator = await (await harness().operator({ args: ['--no-leader-elect', '--namespace', namespace] })).working()
})

afterAll(async () => {
  await harness().kubectl(['delete', 'clusterrolebinding,clusterrole', '-l', 'test=consumers', '--ignore-not-found'])
})

/** Adds the permissions of deploy/components/consumers. */
async function allowConsumers(): Promise<void> {
  const roles = await shippedRoles(harness(), 'cluster')
  const items = roles
    .filter(({ metadata }) => /propagation|restart/.test(metadata.name ?? ''))
    .map((role) => ({ ...role, metadata: { ...role.metadata, labels: { test: 'consumers' } } }))
  await harness().kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
}

function application(): Keys {
  const keys = harness().keys()
  gateway.service.addApplication(keys)
  return keys
}

/** A new token, as if the old one's time had come. */
async function renew(name: string): Promise<string> {
  const value = String(performance.now())
  await harness().patchCredential(namespace, name, {
    metadata: { annotations: { 'enos.io/renew-requested-at': value } },
  })
  return await eventually(async () => {
    const { status } = await harness().getCredential(namespace, name)
    expect(status?.lastHandledRenewRequest).toBe(value)
    return status?.tokenFingerprint ?? ''
  })
}

async function createPod(name: string, spec: object): Promise<void> {
  await harness().admin.create(pods, namespace, { metadata: { name }, spec })
}

const container = { name: 'c', image: 'none' }
const mounting = (secretName: string, mount: object = {}): object => ({
  volumes: [{ name: 'v', secret: { secretName, optional: true } }],
  containers: [{ ...container, volumeMounts: [{ name: 'v', mountPath: '/v', ...mount }] }],
})

async function annotationOf(pod: string): Promise<string | undefined> {
  const { metadata } = await harness().admin.get<KubernetesObject>(pods, { namespace, name: pod })
  return metadata.annotations?.[fingerprintAnnotation]
}

const template = {
  metadata: { labels: { app: 'x' } },
  spec: { containers: [container] },
}

async function createWorkload(kind: keyof typeof workloadTypes, name: string): Promise<void> {
  const rest = kind === 'StatefulSet' ? { serviceName: 'x' } : {}
  const spec = { selector: { matchLabels: { app: 'x' } }, template, ...rest }
  await harness().admin.create(workloadTypes[kind], namespace, {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name },
    spec,
  })
}

async function restartOf(kind: keyof typeof workloadTypes, name: string): Promise<string | undefined> {
  const workload = await harness().admin.get<Workload>(workloadTypes[kind], { namespace, name })
  return workload.spec?.template?.metadata?.annotations?.[restartedAt]
}

describe('propagation without the permission', () => {
  it('is a clear condition and one event, without an error loop; Ready stays True', async () => {
    await harness().createCredential(namespace, 'forbidden', gateway, application(), {
      propagation: 'Immediate',
      restartOnRenewal: [{ kind: 'Deployment', name: 'any' }],
    })
    await harness().expectReady(namespace, 'forbidden')
    await renew('forbidden')
    await harness().expectCondition(namespace, 'forbidden', 'Propagated', 'False/PropagationForbidden')
    expect(await harness().message(namespace, 'forbidden', 'Propagated')).toContain('deploy/components/consumers')
    expect(await harness().condition(namespace, 'forbidden', 'Ready')).toBe('True/Synced')
    const refused = await operator.metric('rest_client_requests_total', { code: '403' })
    await delay(2500)
    expect(await operator.metric('rest_client_requests_total', { code: '403' })).toBeLessThanOrEqual(refused + 1)
    await eventually(async () =>
      expect(
        (await harness().eventReasons(namespace, 'forbidden')).filter((one) => one === 'PropagationForbidden'),
      ).toHaveLength(1),
    )
  })
})

describe('propagation: Immediate', () => {
  beforeAll(allowConsumers)

  it('annotates the pods that mount a target as a volume, and no others, once for each token', async () => {
    await harness().createCredential(namespace, 'mounted', gateway, application(), { propagation: 'Immediate' })
    await harness().expectReady(namespace, 'mounted')
    await createPod('mounts', mounting('mounted-token'))
    await createPod('projects', {
      volumes: [{ name: 'v', projected: { sources: [{ secret: { name: 'mounted-token' } }] } }],
      containers: [{ ...container, volumeMounts: [{ name: 'v', mountPath: '/v' }] }],
    })
    await createPod('other', mounting('something-else'))
    await delay(500)
    // The first token is no renewal: no pod holds an older one.
    expect(await annotationOf('mounts')).toBeUndefined()
    const fingerprint = await renew('mounted')
    await eventually(async () => {
      expect(await annotationOf('mounts')).toBe(fingerprint)
      expect(await annotationOf('projects')).toBe(fingerprint)
    }, 2000)
    expect(await annotationOf('other')).toBeUndefined()
    await harness().expectCondition(namespace, 'mounted', 'Propagated', 'True/Propagated')
    expect((await harness().getCredential(namespace, 'mounted')).status?.propagatedFingerprint).toBe(fingerprint)
  })

  it('names consumers that the kubelet never updates, in one event', async () => {
    await harness().createCredential(namespace, 'blind', gateway, application(), { propagation: 'Immediate' })
    await harness().expectReady(namespace, 'blind')
    await createPod('in-env', {
      containers: [{ ...container, envFrom: [{ secretRef: { name: 'blind-token' } }] }],
    })
    await createPod('by-subpath', mounting('blind-token', { subPath: 'accessToken' }))
    await renew('blind')
    await harness().expectCondition(namespace, 'blind', 'Propagated', 'True/ConsumersNeedRestart')
    const message = await harness().message(namespace, 'blind', 'Propagated')
    expect(message).toContain('Pod in-env')
    expect(message).toContain('Pod by-subpath')
    await delay(10_000)
    await renew('blind')
    await delay(1000)
    expect(
      (await harness().eventReasons(namespace, 'blind')).filter((one) => one === 'ConsumersNeedRestart'),
    ).toHaveLength(1)
    expect(await annotationOf('by-subpath')).toBeUndefined()
  })
})

describe('restartOnRenewal', () => {
  beforeAll(allowConsumers)

  it.concurrent.each(['Deployment', 'StatefulSet', 'DaemonSet'] as const)(
    'restarts a %s as kubectl rollout restart does, once for each new token',
    async (kind) => {
      const name = `restarted-${kind.toLowerCase()}`
      await createWorkload(kind, name)
      await harness().createCredential(namespace, name, gateway, application(), { restartOnRenewal: [{ kind, name }] })
      await harness().expectReady(namespace, name)
      await delay(2500)
      expect(await restartOf(kind, name)).toBeUndefined()
      await renew(name)
      const first = await eventually(async () => {
        const at = await restartOf(kind, name)
        expect(at).toBeDefined()
        return at
      })
      await harness().expectCondition(namespace, name, 'Propagated', 'True/Propagated')
      await delay(2500)
      expect(await restartOf(kind, name)).toBe(first)
    },
  )

  it('does not restart a workload that was restarted after the write, nor when the operator restarts', async () => {
    await createWorkload('Deployment', 'fresh')
    await harness().createCredential(namespace, 'fresh', gateway, application(), {
      restartOnRenewal: [{ kind: 'Deployment', name: 'fresh' }],
    })
    await harness().expectReady(namespace, 'fresh')
    await renew('fresh')
    // Before the debounced restart.
    await delay(1200)
    await harness().kubectl(['-n', namespace, 'rollout', 'restart', 'deployment/fresh'])
    const byHand = await restartOf('Deployment', 'fresh')
    await harness().expectCondition(namespace, 'fresh', 'Propagated', 'True/Propagated')
    expect(await harness().message(namespace, 'fresh', 'Propagated')).toContain('was restarted since')
    expect(await operator.end()).toBe(0)
    // One namespace only: this file counts refusals, and those of other namespaces would be among them.
    operator = await (await harness().operator({ args: ['--no-leader-elect', '--namespace', namespace] })).working()
    await delay(3000)
    expect(await restartOf('Deployment', 'fresh')).toBe(byHand)
  })

  it('is done by the next process when the operator died between write and restart', async () => {
    await createWorkload('Deployment', 'crashed')
    await harness().createCredential(namespace, 'crashed', gateway, application(), {
      restartOnRenewal: [{ kind: 'Deployment', name: 'crashed' }],
    })
    await harness().expectReady(namespace, 'crashed')
    await delay(1500)
    await renew('crashed')
    operator.signal('SIGKILL')
    await operator.exited()
    expect(await restartOf('Deployment', 'crashed')).toBeUndefined()
    // One namespace only: this file counts refusals, and those of other namespaces would be among them.
    operator = await (await harness().operator({ args: ['--no-leader-elect', '--namespace', namespace] })).working()
    await eventually(async () => expect(await restartOf('Deployment', 'crashed')).toBeDefined())
    await harness().expectCondition(namespace, 'crashed', 'Propagated', 'True/Propagated')
  })
})
