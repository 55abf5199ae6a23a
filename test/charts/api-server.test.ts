import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { useHarness } from '../integration/harness.ts'
import { runToEnd } from '../support/run.ts'
import { helmTemplate, type Manifest, parseManifests, variants } from './manifests.ts'
import { prometheusOperatorCrds } from './prometheus-operator.ts'

const harness = useHarness()
const namespaces = ['enos-system', 'plant-a']
let crds: string[]

beforeAll(async () => {
  await harness().waitUntilServed()
  await harness().kubectl(['delete', 'crd', 'enosappcredentials.enos.io', '--ignore-not-found'])
  crds = (await prometheusOperatorCrds()).flatMap((file) => ['-f', file])
  // Beyond the length of the annotation that a client-side apply writes.
  await harness().kubectl(['apply', '--server-side', ...crds])
  await harness().waitUntilServed()
  for (const name of namespaces) {
    const labels = {
      'pod-security.kubernetes.io/enforce': 'restricted',
      'pod-security.kubernetes.io/warn': 'restricted',
    }
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
    await harness().kubectl(['apply', '-f', '-'], JSON.stringify(namespace))
  }
})

// Other files test the chart where the cluster lacks these kinds.
afterAll(async () => {
  await harness().kubectl(['delete', '--ignore-not-found', ...crds])
})

const metrics = { listen: { secure: { secretName: 'metrics-tls' } } }
const rendered = { enabled: true, renderMode: 'alwaysRender' }

/** Every value of a monitor. */
const monitor = {
  ...rendered,
  namespace: 'plant-a',
  additionalLabels: { release: 'prometheus' },
  interval: '15s',
  scrapeTimeout: '10s',
  honorLabels: true,
  tlsConfig: { serverName: 'metrics.enos-system.svc', ca: { secret: { name: 'metrics-ca', key: 'ca.crt' } } },
  relabelings: [{ targetLabel: 'cluster', replacement: 'plant' }],
  metricRelabelings: [{ sourceLabels: ['__name__'], regex: 'nodejs_.*', action: 'drop' }],
}

/** Installs that are applied: those that kustomize renders too, and the kinds that only the chart has. */
const installs = {
  ...Object.fromEntries(Object.entries(variants).map(([name, { values }]) => [name, values])),
  'a ServiceMonitor and alerts, with each of their values': {
    metrics,
    serviceMonitor: monitor,
    prometheusRule: { ...rendered, namespace: 'plant-a', additionalLabels: monitor.additionalLabels },
  },
  'a PodMonitor with each of its values': { metrics, podMonitor: monitor },
}

/** Applies as an install does; a warning or an unknown field fails. */
async function applyStrictly(text: string): Promise<void> {
  const args = ['apply', '--server-side', '--validate=strict', '-f', '-']
  const { code, stderr } = await kubectl(args, text)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
}

async function kubectl(args: readonly string[], input: string) {
  return await runToEnd(`${inject('assets')}/kubectl`, ['--kubeconfig', inject('adminKubeconfig'), ...args], { input })
}

async function versionsOf(text: string): Promise<string[]> {
  const args = [
    'get',
    '-f',
    '-',
    '-o',
    'jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{"\\n"}{end}',
  ]
  return (await harness().kubectl(args, text)).trim().split('\n')
}

interface Deployment extends Manifest {
  readonly spec: { readonly template: { readonly spec: object } }
}

/** Asks the API server for a pod of the Deployment, and changes nothing. */
async function tryPod(text: string) {
  const deployment = parseManifests(text).find(({ kind }) => kind === 'Deployment') as Deployment
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'operator', namespace: 'enos-system' },
    spec: deployment.spec.template.spec,
  }
  return await kubectl(['create', '--dry-run=server', '--validate=strict', '-f', '-'], JSON.stringify(pod))
}

describe('the API server', () => {
  it.each(Object.entries(installs))(
    'takes the objects of the chart, and a second time changes none: %s',
    async (_, values) => {
      const text = await helmTemplate('helm4', values)
      try {
        await applyStrictly(text)
        // Until then the API server writes the status of a CRD.
        await harness().waitUntilServed()
        const before = await versionsOf(text)
        expect(before.length).toBeGreaterThan(6)
        await applyStrictly(text)
        expect(await versionsOf(text)).toEqual(before)
      } finally {
        await kubectl(['delete', '--ignore-not-found', '-f', '-'], text)
      }
    },
  )

  it.each(Object.entries(installs))(
    'admits a pod of the chart under Pod Security restricted: %s',
    async (_, values) => {
      const text = await helmTemplate('helm4', { ...values, serviceAccount: { create: false } })
      expect(await tryPod(text)).toMatchObject({
        code: 0,
        stderr: '',
        stdout: 'pod/operator created (server dry run)\n',
      })
    },
  )

  it('refuses a pod on the network of the node under Pod Security restricted', async () => {
    const text = await helmTemplate('helm4', { hostNetwork: true, serviceAccount: { create: false } })
    expect((await tryPod(text)).stderr).toContain('violates PodSecurity "restricted:latest": host namespaces')
  })
})
