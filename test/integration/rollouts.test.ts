import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Workload, workloadTypes } from '../../src/consumers/workloads.ts'
import { isNotFound } from '../../src/kubernetes/errors.ts'
import { pods } from '../../src/kubernetes/types.ts'
import { type Cluster, startCluster } from '../control-plane/cluster.ts'
import { freePort } from '../support/free-port.ts'
import { delay, eventually, useHarness } from './harness.ts'
import { shippedRoles } from './shipped-permissions.ts'

/** A control plane of its own: workload controllers would act on what other files create. */
let cluster: Cluster
let controllers: ChildProcess
let namespace: string

// Registered first, so that it runs last.
afterAll(async () => {
  controllers.kill()
  if (controllers.exitCode === null && controllers.signalCode === null) await once(controllers, 'exit')
  await cluster.stop()
})

const harness = useHarness(async () => {
  cluster = await startCluster({ environment: process.env, log: () => undefined })
  return { assets: cluster.assets, kubeconfig: cluster.kubeconfig, operatorKubeconfig: cluster.operatorKubeconfig }
})

beforeAll(async () => {
  const names = ['deployment', 'replicaset', 'statefulset', 'daemonset'].map((name) => `${name}-controller`)
  const args = [
    `--kubeconfig=${cluster.kubeconfig}`,
    `--controllers=${names.join(',')}`,
    '--leader-elect=false',
    '--bind-address=127.0.0.1',
    `--secure-port=${await freePort()}`,
  ]
  controllers = spawn(`${cluster.assets}/kube-controller-manager`, args, { stdio: 'ignore' })
  const items = await shippedRoles(harness(), 'cluster')
  await harness().kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
  namespace = await harness().namespace()
  await (await harness().operator({ args: ['--no-leader-elect'] })).working()
})

type Kind = 'Deployment' | 'StatefulSet'

async function create(kind: Kind, name: string, fields: object = {}): Promise<void> {
  const labels = { app: name }
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'none' }] } }
  const spec = { selector: { matchLabels: labels }, template, ...fields }
  await harness().admin.create(workloadTypes[kind], namespace, { metadata: { name }, spec })
  // The controllers have just started.
  await eventually(async () => expect((await get(kind, name)).status?.replicas).toBe(1), 30_000)
}

async function get(kind: Kind, name: string): Promise<Workload> {
  return await harness().admin.get<Workload>(workloadTypes[kind], { namespace, name })
}

/** Every pod of a workload as the kubelet would have it. */
async function makeReady(app: string): Promise<void> {
  const { items } = await harness().admin.list(pods, namespace, { labelSelector: `app=${app}` })
  const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }
  for (const { metadata } of items) {
    const ref = { namespace, name: metadata.name ?? '' }
    try {
      await harness().admin.patch(pods, ref, { type: 'merge', body: { status } }, { subresource: 'status' })
    } catch (error) {
      // A rollout deletes the pods of the former revision meanwhile.
      if (!isNotFound(error)) throw error
    }
  }
}

async function restart(kind: Kind, name: string): Promise<void> {
  const gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  const keys = harness().keys()
  gateway.service.addApplication(keys)
  await harness().createCredential(namespace, name, gateway, keys, { restartOnRenewal: [{ kind, name }] })
  await harness().expectReady(namespace, name)
  await delay(1100)
  await harness().patchCredential(namespace, name, { metadata: { annotations: { 'enos.io/renew-requested-at': '1' } } })
}

describe('a rollout by the real workload controllers', () => {
  it.concurrent('is propagated for a Deployment', async () => {
    await create('Deployment', 'rolling')
    await makeReady('rolling')
    await restart('Deployment', 'rolling')
    await eventually(async () => {
      // The first sync is propagated, too.
      const { metadata, spec, status } = await get('Deployment', 'rolling')
      expect(spec?.template?.metadata?.annotations).toHaveProperty(['kubectl.kubernetes.io/restartedAt'])
      await makeReady('rolling')
      expect(status).toMatchObject({ observedGeneration: metadata.generation, replicas: 1, updatedReplicas: 1 })
    }, 15_000)
    await harness().expectCondition(namespace, 'rolling', 'Propagated', 'True/Propagated', 15_000)
    await delay(8000)
    expect(await harness().condition(namespace, 'rolling', 'Propagated')).toBe('True/Propagated')
  })

  it.concurrent(
    'needs a restart for a StatefulSet with OnDelete until its pods are deleted',
    async () => {
      await create('StatefulSet', 'on-delete', { serviceName: 'x', updateStrategy: { type: 'OnDelete' } })
      await makeReady('on-delete')
      await restart('StatefulSet', 'on-delete')
      await harness().expectCondition(namespace, 'on-delete', 'Propagated', 'True/ConsumersNeedRestart', 15_000)
      await delay(4000)
      expect(await harness().condition(namespace, 'on-delete', 'Propagated')).toBe('True/ConsumersNeedRestart')
      await harness().kubectl(['-n', namespace, 'delete', 'pod', 'on-delete-0', '--force', '--grace-period=0'])
      await harness().expectCondition(namespace, 'on-delete', 'Propagated', 'True/Propagated', 45_000)
    },
    90_000,
  )

  it.concurrent('needs a restart for a StatefulSet with a partition', async () => {
    await create('StatefulSet', 'partitioned', {
      serviceName: 'x',
      updateStrategy: { rollingUpdate: { partition: 1 } },
    })
    await makeReady('partitioned')
    await restart('StatefulSet', 'partitioned')
    await harness().expectCondition(namespace, 'partitioned', 'Propagated', 'True/ConsumersNeedRestart', 15_000)
  })
})
