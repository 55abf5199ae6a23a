import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { argocdScript } from '../../tools/argocd.ts'
import { useGitOpsPrograms } from '../gitops/programs.ts'
import { useHarness } from './harness.ts'

/** Set to write the objects of this run as the test data of deploy/argocd, which argocd.test.ts plays. */
const shouldUpdate = process.env['UPDATE_TESTDATA'] !== undefined
const testdata = fileURLToPath(
  new URL('../../deploy/argocd/resource_customizations/enos.io/EnosAppCredential/', import.meta.url),
)
const harness = useHarness()
const { canBuild, programs } = await useGitOpsPrograms()
const updated: object[] = []
let namespace: string

beforeAll(async () => {
  namespace = await harness().namespace()
})

afterAll(async () => {
  if (shouldUpdate) await writeFile(join(testdata, 'health_test.yaml'), stringify({ tests: updated }, { lineWidth: 0 }))
})

interface Health {
  readonly status: string
  readonly message: string
}

/** @param state names the file of the test data */
async function expectHealth(name: string, state: string, expected: { kstatus: string; argo: string }): Promise<void> {
  const live = await harness().getCredential(namespace, name)
  const healthStatus = (await programs().argoLua(argocdScript('health.lua'), live)) as Health
  expect({ kstatus: await programs().kstatus(live), argo: healthStatus.status }, state).toEqual(expected)
  expect(healthStatus.message).toMatch(/\S/)
  if (!shouldUpdate) return
  const inputPath = `testdata/${state}.yaml`
  // Argo CD looks at them no more than the script does.
  const object = { ...live, metadata: { ...live.metadata, managedFields: undefined } }
  await writeFile(join(testdata, inputPath), stringify(object, { lineWidth: 0 }))
  updated.push({ healthStatus, inputPath })
}

describe.skipIf(!canBuild)('kstatus and the health script of Argo CD', () => {
  it('call a resource InProgress and Progressing that no operator has seen', async () => {
    const gateway = await harness().gateway()
    await harness().createCredential(namespace, 'new', gateway, harness().keys())
    expect((await harness().getCredential(namespace, 'new')).status?.observedGeneration).toBe(-1)
    await expectHealth('new', 'new', { kstatus: 'InProgress', argo: 'Progressing' })
  })

  it('follow a resource through failures, suspension, a mistake of the user and a new spec', async () => {
    const keys = harness().keys()
    const gateway = await harness().gateway({ applications: [keys] })
    await gateway.setOutage(true)
    const args = ['--no-leader-elect', '--namespace', namespace]
    const operator = await (await harness().operator({ args })).working()
    await harness().createCredential(namespace, 'followed', gateway, keys)
    await harness().expectCondition(namespace, 'followed', 'Ready', 'False/GatewayUnreachable')
    await expectHealth('followed', 'reconciling', { kstatus: 'InProgress', argo: 'Progressing' })

    await gateway.setOutage(false)
    await harness().expectReady(namespace, 'followed', 30_000)
    await expectHealth('followed', 'ready', { kstatus: 'Current', argo: 'Healthy' })

    await gateway.setOutage(true)
    await harness().patchCredential(namespace, 'followed', {
      metadata: { annotations: { 'enos.io/renew-requested-at': 'now' } },
    })
    await harness().expectCondition(namespace, 'followed', 'RenewalHealthy', 'False/GatewayUnreachable')
    await expectHealth('followed', 'renewal-failing', { kstatus: 'Current', argo: 'Healthy' })
    await gateway.setOutage(false)

    await harness().patchCredential(namespace, 'followed', { spec: { suspend: true } })
    await harness().expectCondition(namespace, 'followed', 'Ready', 'True/Suspended')
    await expectHealth('followed', 'suspended', { kstatus: 'Current', argo: 'Suspended' })

    await harness().patchCredential(namespace, 'followed', {
      spec: { suspend: false, appSecretRef: { name: 'absent' } },
    })
    await harness().expectCondition(namespace, 'followed', 'Stalled', 'True/SourceSecretNotFound')
    await expectHealth('followed', 'stalled', { kstatus: 'Failed', argo: 'Degraded' })

    await harness().patchCredential(namespace, 'followed', { spec: { appSecretRef: { name: 'followed-app' } } })
    await harness().expectCondition(namespace, 'followed', 'RenewalHealthy', 'True/Synced')
    await operator.end()
    await harness().patchCredential(namespace, 'followed', { spec: { renewBefore: '1h' } })
    await expectHealth('followed', 'stale-generation', { kstatus: 'InProgress', argo: 'Progressing' })
  })

  it('tell of an expired token, and of a deletion under way', async () => {
    const keys = harness().keys()
    const gateway = await harness().gateway({ applications: [keys], lifetimeSeconds: 3 })
    const args = ['--no-leader-elect', '--namespace', namespace]
    const operator = await (await harness().operator({ args })).working()
    await harness().kubectl(['-n', namespace, 'create', 'secret', 'generic', 'shared', '--from-literal=a=b'])
    await harness().createCredential(namespace, 'expiring', gateway, keys, {
      targets: [{ name: 'shared', creationPolicy: 'Merge' }],
    })
    await harness().expectReady(namespace, 'expiring')
    await gateway.setOutage(true)
    await harness().expectCondition(namespace, 'expiring', 'Ready', 'False/TokenExpired')
    await expectHealth('expiring', 'expired', { kstatus: 'InProgress', argo: 'Degraded' })

    await operator.end()
    await harness().kubectl(['-n', namespace, 'delete', 'eac', 'expiring', '--wait=false'])
    await expectHealth('expiring', 'deleting', { kstatus: 'Terminating', argo: 'Progressing' })
    await (await harness().operator({ args })).working()
    await harness().kubectl(['-n', namespace, 'wait', '--for=delete', 'eac/expiring', '--timeout=30s'])
  })
})
