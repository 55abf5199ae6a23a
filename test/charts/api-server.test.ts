import { beforeAll, describe, expect, inject, it } from 'vitest'
import { useHarness } from '../integration/harness.ts'
import { runToEnd } from '../support/run.ts'
import { helmTemplate, type Manifest, parseManifests, variants } from './manifests.ts'

const harness = useHarness()
const namespaces = ['enos-system', 'plant-a']

beforeAll(async () => {
  await harness().kubectl(['delete', 'crd', 'enosappcredentials.enos.io', '--ignore-not-found'])
  for (const name of namespaces) {
    const labels = {
      'pod-security.kubernetes.io/enforce': 'restricted',
      'pod-security.kubernetes.io/warn': 'restricted',
    }
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
    await harness().kubectl(['apply', '-f', '-'], JSON.stringify(namespace))
  }
})

/** The API server has no kinds of the Prometheus operator. */
const withoutMonitoring = { prometheusRule: { enabled: false } }

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
  it.each(Object.entries(variants))(
    'takes the objects of the chart, and a second time changes none: %s',
    async (_, { values }) => {
      const text = await helmTemplate('helm4', { ...values, ...withoutMonitoring })
      try {
        await applyStrictly(text)
        const before = await versionsOf(text)
        expect(before.length).toBeGreaterThan(6)
        await applyStrictly(text)
        expect(await versionsOf(text)).toEqual(before)
      } finally {
        await kubectl(['delete', '--ignore-not-found', '-f', '-'], text)
      }
    },
  )

  it.each(Object.entries(variants))(
    'admits a pod of the chart under Pod Security restricted: %s',
    async (_, { values }) => {
      const text = await helmTemplate('helm4', {
        ...values,
        ...withoutMonitoring,
        serviceAccount: { create: false },
      })
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
