import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import type { Simulator } from '../../simulator/server.ts'
import { statusSchema } from '../../src/api/v1alpha1/status-schema.ts'
import { delay, eventually, type Keys, useHarness } from '../integration/harness.ts'
import type { OperatorProcess } from '../integration/operator-process.ts'
import { chart, helmTemplate } from './manifests.ts'

/**
 * An upgrade changes CRD and operator one after the other, a rollback as well, and several releases share one CRD: the
 * operator meets a CRD that has a field more or a field less than it knows.
 */

const harness = useHarness()
let gateway: Simulator
let namespace: string
let operator: OperatorProcess

interface Schema {
  readonly properties: Record<string, Schema>
  readonly items?: Schema
  readonly type?: string
}

interface Crd {
  readonly spec: { readonly versions: [{ readonly schema: { readonly openAPIV3Schema: Schema } }] }
}

let editions = 0

/** Applies the CRD with a change to its schemas, and waits until the API server works with it. */
async function applyCrd(change: (schemas: { spec: Schema; status: Schema }) => void): Promise<void> {
  const crd = parse(await readFile(join(chart, 'files/crd.yaml'), 'utf8')) as Crd
  const { spec, status } = crd.spec.versions[0].schema.openAPIV3Schema.properties as { spec: Schema; status: Schema }
  change({ spec, status })
  // A field of the spec that no CRD before had shows which one the API server works with.
  const edition = `edition${++editions}`
  spec.properties[edition] = { type: 'string' } as Schema
  await harness().kubectl(['replace', '-f', '-'], JSON.stringify(crd))
  await eventually(async () => expect(await kept(edition)).toBe(true), 30_000)
}

/** Whether the API server keeps this field of the spec; it stores nothing. */
async function kept(field: string): Promise<boolean> {
  const ref = { name: 'app' }
  const credential = {
    apiVersion: 'enos.io/v1alpha1',
    kind: 'EnosAppCredential',
    metadata: { name: 'probe', namespace: 'default' },
    spec: {
      gateway: { url: 'https://apim.example.com' },
      appKeyRef: ref,
      appSecretRef: ref,
      targets: [{ name: 'token' }],
      [field]: 'kept',
    },
  }
  const args = ['create', '--dry-run=server', '--validate=ignore', '-o', 'json', '-f', '-']
  const { spec } = JSON.parse(await harness().kubectl(args, JSON.stringify(credential))) as { spec: object }
  return field in spec
}

/** The operator runs outside of the cluster, with what the chart grants it. */
async function install(): Promise<string> {
  return await helmTemplate('helm4', { replicaCount: 1, crds: { enabled: false }, admissionPolicy: { enabled: false } })
}

beforeAll(async () => {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'enos-system' } }
  await harness().kubectl(['apply', '-f', '-'], JSON.stringify(namespace))
  await harness().kubectl(['apply', '-f', join(chart, 'files/crd.yaml')])
  await harness().kubectl(['apply', '-f', '-'], await install())
  await harness().waitUntilServed()
  gateway = await harness().gateway()
})

afterAll(async () => {
  await harness().kubectl(['delete', '-f', '-'], await install())
})

beforeEach(async () => {
  namespace = await harness().namespace()
  operator = await harness().operator()
})

afterEach(async () => {
  await operator.end()
  await applyCrd(() => undefined)
})

function application(): Keys {
  const keys = harness().keys()
  gateway.service.addApplication(keys)
  return keys
}

async function versionOf(name: string): Promise<string> {
  return (await harness().getCredential(namespace, name)).metadata.resourceVersion ?? ''
}

/** @returns how often the resource was written within 2.5 s in which nothing happens */
async function countIdleWrites(name: string): Promise<number> {
  const versions = new Set<string>()
  for (let look = 0; look < 25; look++) {
    versions.add(await versionOf(name))
    await delay(100)
  }
  return versions.size - 1
}

async function expectAtRest(name: string): Promise<void> {
  await harness().expectReady(namespace, name, 30_000)
  // A write follows Ready, on a busy machine not at once: what was learnt of the target.
  await eventually(async () => expect(await countIdleWrites(name), operator.output).toBe(0), 5000)
  expect(await harness().data(namespace, `${name}-token`)).toHaveProperty('accessToken')
}

describe('an operator that is older than the CRD', () => {
  it('works on a resource with fields that it does not know, and leaves them as they are', async () => {
    await applyCrd(({ spec, status }) => {
      spec.properties['futureField'] = { type: 'string' } as Schema
      status.properties['futureStatus'] = { type: 'string' } as Schema
    })
    await harness().createCredential(namespace, 'newer', gateway, application(), { futureField: 'kept' })
    await expectAtRest('newer')
    await harness().kubectl([
      ...['-n', namespace, 'patch', 'enosappcredential', 'newer', '--subresource=status', '--type=merge', '-p'],
      JSON.stringify({ status: { futureStatus: 'kept' } }),
    ])
    await harness().patchCredential(namespace, 'newer', {
      metadata: { annotations: { 'enos.io/renew-requested-at': 'now' } },
    })
    await eventually(async () => {
      const { status } = await harness().getCredential(namespace, 'newer')
      expect(status?.lastHandledRenewRequest).toBe('now')
    })
    const { spec, status } = await harness().getCredential(namespace, 'newer')
    expect(spec['futureField']).toBe('kept')
    expect(status).toHaveProperty('futureStatus', 'kept')
  })
})

describe('an operator that is newer than the CRD', () => {
  it('works without an optional field of the spec', async () => {
    await applyCrd(({ spec }) => {
      delete spec.properties['propagation']
      delete spec.properties['restartOnRenewal']
      delete spec.properties['verifyEvery']
    })
    await harness().createCredential(namespace, 'older', gateway, application())
    await expectAtRest('older')
  })

  /** All but what every version had: without conditions there is no status. */
  const fields = Object.keys(statusSchema.shape).filter((field) => field !== 'conditions')

  it.each(fields)('comes to rest where the API server drops status.%s', async (field) => {
    await applyCrd(({ status }) => {
      Reflect.deleteProperty(status.properties, field)
      if (field === 'observedGeneration') Reflect.deleteProperty(status, 'default')
    })
    await harness().createCredential(namespace, 'older', gateway, application())
    await expectAtRest('older')
  })

  it('comes to rest where the API server drops status.targets[].lastWrite', async () => {
    await applyCrd(({ status }) => {
      delete status.properties['targets']?.items?.properties['lastWrite']
    })
    await harness().createCredential(namespace, 'older', gateway, application())
    await expectAtRest('older')
  })
})
