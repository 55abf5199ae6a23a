import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { type Workload, workloadTypes } from '../../src/consumers/workloads.ts'
import { type KubernetesObject, pods } from '../../src/kubernetes/types.ts'
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

/**
 * The creation of a pod is in whole seconds: one that is created within the second of the first token looks as if it had
 * come before that token.
 */
async function expectReadyForASecond(name: string): Promise<void> {
  await harness().expectReady(namespace, name)
  await delay(1000)
}

const template = { spec: { containers: [container] } }

async function createWorkload(kind: keyof typeof workloadTypes, name: string, fields: object = {}): Promise<void> {
  const rest = kind === 'StatefulSet' ? { serviceName: 'x' } : {}
  // Each has pods of its own.
  const labels = { app: name }
  const spec = {
    selector: { matchLabels: labels },
    template: { ...template, metadata: { labels } },
    ...rest,
    ...fields,
  }
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

describe('propagation without the permission, once that is given', () => {
  beforeAll(allowConsumers)

  it('is done without a renewal', async () => {
    // The workload that it names is the next thing in the way.
    await harness().expectCondition(namespace, 'forbidden', 'Propagated', 'False/WorkloadNotFound', 45_000)
    await createWorkload('Deployment', 'any')
    await harness().expectCondition(namespace, 'forbidden', 'Propagated', 'True/Propagated', 45_000)
  }, 100_000)
})

describe('propagation: Immediate', () => {
  beforeAll(allowConsumers)

  it('annotates the pods that mount a target as a volume, and no others, once for each token', async () => {
    await harness().createCredential(namespace, 'mounted', gateway, application(), { propagation: 'Immediate' })
    await expectReadyForASecond('mounted')
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
    await expectReadyForASecond('blind')
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
    // Paused, so that the restart by hand comes before the debounced one: a second after the write, or later.
    operator.signal('SIGSTOP')
    await delay(1200)
    await harness().kubectl(['-n', namespace, 'rollout', 'restart', 'deployment/fresh'])
    operator.signal('SIGCONT')
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

describe('restartOnRenewal, of a workload that does not replace its pods', () => {
  beforeAll(allowConsumers)

  /** A synced credential that restarts a workload of its own name. */
  async function createRestarting(kind: keyof typeof workloadTypes, name: string): Promise<void> {
    await harness().createCredential(namespace, name, gateway, application(), { restartOnRenewal: [{ kind, name }] })
    await harness().expectReady(namespace, name)
    // The first token is looked at after the debounce.
    await delay(2500)
    expect(await harness().condition(namespace, name, 'Propagated')).toBe('none')
  }

  it.concurrent.each(['StatefulSet', 'DaemonSet'] as const)(
    'needs a restart for a %s with updateStrategy OnDelete',
    async (kind) => {
      const name = `on-delete-${kind.toLowerCase()}`
      await createWorkload(kind, name, { updateStrategy: { type: 'OnDelete' } })
      await createRestarting(kind, name)
      await renew(name)
      await harness().expectCondition(namespace, name, 'Propagated', 'True/ConsumersNeedRestart')
      expect(await harness().message(namespace, name, 'Propagated')).toContain(
        `${kind} ${name} has updateStrategy OnDelete`,
      )
      // Events follow the status, and may wait for their turn.
      await eventually(async () =>
        expect(await harness().eventReasons(namespace, name)).toContain('ConsumersNeedRestart'),
      )
    },
  )

  // The test is the workload's controller: none runs here.
  async function patchRollout(kind: keyof typeof workloadTypes, name: string, status: object): Promise<void> {
    const ref = { namespace, name }
    const { metadata } = await harness().admin.get<Workload>(workloadTypes[kind], ref)
    const body = { status: { observedGeneration: metadata.generation, ...status } }
    await harness().admin.patch(workloadTypes[kind], ref, { type: 'merge', body }, { subresource: 'status' })
  }

  it.concurrent('is propagated once the pods of a StatefulSet with OnDelete were deleted by hand', async () => {
    const name = 'deleted-by-hand'
    await createWorkload('StatefulSet', name, { updateStrategy: { type: 'OnDelete' } })
    await createRestarting('StatefulSet', name)
    await renew(name)
    await harness().expectCondition(namespace, name, 'Propagated', 'True/ConsumersNeedRestart')
    await patchRollout('StatefulSet', name, { replicas: 1, updatedReplicas: 1 })
    await harness().expectCondition(namespace, name, 'Propagated', 'True/Propagated', 30_000)
  })

  it.concurrent(
    'needs a restart for a Deployment whose rollout exceeded its deadline',
    async () => {
      const name = 'stalled'
      await createWorkload('Deployment', name)
      await createRestarting('Deployment', name)
      await renew(name)
      await eventually(async () => expect(await restartOf('Deployment', name)).toBeDefined())
      const conditions = [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }]
      await patchRollout('Deployment', name, { replicas: 2, updatedReplicas: 1, conditions })
      await harness().expectCondition(namespace, name, 'Propagated', 'True/ConsumersNeedRestart', 30_000)
      await patchRollout('Deployment', name, { replicas: 1, updatedReplicas: 1 })
      await harness().expectCondition(namespace, name, 'Propagated', 'True/Propagated', 45_000)
    },
    90_000,
  )

  it.concurrent('needs a restart for a paused Deployment, and restarts it when it is resumed', async () => {
    const name = 'paused'
    await createWorkload('Deployment', name, { paused: true })
    await createRestarting('Deployment', name)
    await renew(name)
    await harness().expectCondition(namespace, name, 'Propagated', 'True/ConsumersNeedRestart')
    expect(await restartOf('Deployment', name)).toBeUndefined()
    await harness().kubectl(['-n', namespace, 'rollout', 'resume', `deployment/${name}`])
    await harness().expectCondition(namespace, name, 'Propagated', 'True/Propagated', 30_000)
    expect(await restartOf('Deployment', name)).toBeDefined()
  })

  it.concurrent('needs a restart where another controller resets the template, and restarts it once', async () => {
    const name = 'owned'
    await createWorkload('Deployment', name)
    await createRestarting('Deployment', name)
    const ref = { namespace, name }
    const resets: string[] = []
    const patched: Promise<void> = eventually(async () => {
      const at = await restartOf('Deployment', name)
      if (at === undefined) throw new Error('not restarted yet')
      resets.push(at)
      const body = { spec: { template: { metadata: { annotations: null } } } }
      await harness().admin.patch(workloadTypes.Deployment, ref, { type: 'merge', body })
    }, 20_000)
    await renew(name)
    await patched
    await harness().expectCondition(namespace, name, 'Propagated', 'True/ConsumersNeedRestart')
    expect(await harness().message(namespace, name, 'Propagated')).toContain('another controller')
    await delay(5000)
    expect(await restartOf('Deployment', name)).toBeUndefined()
    expect(resets).toHaveLength(1)
  })

  it.concurrent('is told before the first renewal where a workload does not exist', async () => {
    const name = 'absent'
    const keys = application()
    await harness().createCredential(namespace, name, gateway, keys, {
      restartOnRenewal: [{ kind: 'Deployment', name }],
    })
    await harness().expectReady(namespace, name)
    await harness().expectCondition(namespace, name, 'Propagated', 'False/WorkloadNotFound')
    await eventually(async () => expect(await harness().eventReasons(namespace, name)).toContain('WorkloadNotFound'))
    expect(await harness().condition(namespace, name, 'Ready')).toBe('True/Synced')
    // A changed spec is looked at, too: without a restart.
    await createWorkload('Deployment', 'present')
    await harness().patchCredential(namespace, name, {
      spec: { restartOnRenewal: [{ kind: 'Deployment', name: 'present' }] },
    })
    await harness().expectCondition(namespace, name, 'Propagated', 'True/Propagated')
    expect(await restartOf('Deployment', 'present')).toBeUndefined()
  })
})

describe('the first token, with pods that started before it', () => {
  beforeAll(allowConsumers)
  const env = (name: string) => ({
    env: [{ name: 'T', valueFrom: { secretKeyRef: { name, key: 'accessToken', optional: true } } }],
  })

  async function start(pod: string): Promise<void> {
    const startedAt = new Date().toISOString()
    const status = {
      phase: 'Running',
      containerStatuses: [
        { name: 'c', state: { running: { startedAt } }, image: 'none', imageID: '', ready: true, restartCount: 0 },
      ],
    }
    await harness().admin.patch(
      pods,
      { namespace, name: pod },
      { type: 'merge', body: { status } },
      { subresource: 'status' },
    )
  }

  it('annotates the pod with an optional volume, and names the one with an optional variable', async () => {
    await createPod('early-volume', mounting('early-token'))
    await createPod('early-env', { containers: [{ ...container, ...env('early-token') }] })
    await createPod('early-copy', {
      ...mounting('early-token'),
      containers: [container],
      initContainers: [{ name: 'init', image: 'none', volumeMounts: [{ name: 'v', mountPath: '/v' }] }],
    })
    for (const pod of ['early-volume', 'early-env']) await start(pod)
    await delay(1100)
    await harness().createCredential(namespace, 'early', gateway, application(), { propagation: 'Immediate' })
    await harness().expectCondition(namespace, 'early', 'Propagated', 'True/ConsumersNeedRestart')
    const message = await harness().message(namespace, 'early', 'Propagated')
    expect(message).toContain('Pod early-copy, Pod early-env read the token from environment')
    expect(message).toContain('the first token was propagated to 1 pod created before it')
    const { status } = await harness().getCredential(namespace, 'early')
    expect(await annotationOf('early-volume')).toBe(status?.tokenFingerprint)
  })

  it('restarts the workload that restartOnRenewal names', async () => {
    await createWorkload('Deployment', 'optional', {
      template: {
        metadata: { labels: { app: 'optional' } },
        spec: { containers: [{ ...container, ...env('optional-token') }] },
      },
    })
    await delay(1100)
    await harness().createCredential(namespace, 'optional', gateway, application(), {
      restartOnRenewal: [{ kind: 'Deployment', name: 'optional' }],
    })
    await harness().expectCondition(namespace, 'optional', 'Propagated', 'True/Propagated')
    expect(await restartOf('Deployment', 'optional')).toBeDefined()
  })
})

describe('propagation that an admission policy denies', () => {
  beforeAll(allowConsumers)
  afterAll(async () => {
    for (const kind of ['validatingadmissionpolicybinding', 'validatingadmissionpolicy']) {
      await harness().kubectl(['delete', kind, 'no-pods.example.com', '--ignore-not-found'])
    }
  })

  it('names the policy, and not the permission', async () => {
    const apiVersion = 'admissionregistration.k8s.io/v1'
    const metadata = { name: 'no-pods.example.com' }
    const items = [
      {
        apiVersion,
        kind: 'ValidatingAdmissionPolicy',
        metadata,
        spec: {
          matchConstraints: {
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
            resourceRules: [
              {
                apiGroups: [''],
                apiVersions: ['v1'],
                operations: ['UPDATE'],
                resources: ['pods'],
                resourceNames: ['denied'],
              },
            ],
          },
          validations: [{ expression: 'false', message: 'text of an outsider' }],
        },
      },
      {
        apiVersion,
        kind: 'ValidatingAdmissionPolicyBinding',
        metadata,
        spec: { policyName: metadata.name, validationActions: ['Deny'] },
      },
    ]
    await harness().kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
    await createPod('denied', mounting('denied-token'))
    await eventually(async () => {
      const patch = {
        type: 'merge',
        body: { metadata: { labels: { at: `${Math.floor(performance.now())}` } } },
      } as const
      const error = await harness()
        .admin.patch(pods, { namespace, name: 'denied' }, patch)
        .catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 422 })
    })
    await harness().createCredential(namespace, 'denied', gateway, application(), { propagation: 'Immediate' })
    await harness().expectReady(namespace, 'denied')
    await renew('denied')
    await harness().expectCondition(namespace, 'denied', 'Propagated', 'False/PropagationForbidden')
    expect(await harness().message(namespace, 'denied', 'Propagated')).toContain(
      `ValidatingAdmissionPolicy "no-pods.example.com" denied the request to patch Pod denied in namespace ${namespace} (HTTP 422)`,
    )
  })
})
