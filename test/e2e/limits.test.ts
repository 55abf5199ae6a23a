import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { chart } from '../charts/manifests.ts'
import { delay, eventually, type Keys, useHarness } from '../integration/harness.ts'
import { podPort } from './pod-port.ts'
import { operatorNamespace, Releases } from './releases.ts'
import { TokenWatch } from './token-watch.ts'
import { forward, GatewayPod } from './world.ts'

const harness = useHarness()
let namespace: string
let releases: Releases
let faultPort: number
const gateways: GatewayPod[] = []

beforeAll(async () => {
  const { sharesHostNetwork } = inject('podCluster')
  faultPort = sharesHostNetwork ? await podPort() : 8099
  releases = new Releases(harness())
  namespace = await harness().namespace()
  await harness()
    .kubectl(['create', 'namespace', operatorNamespace])
    .catch((error: unknown) => {
      // An earlier file installed there.
      expect(String(error)).toContain('AlreadyExists')
    })
  const source = fileURLToPath(new URL('fault-server.mjs', import.meta.url))
  const configMap = ['create', 'configmap', 'faults', `--from-file=${source}`, '--dry-run=client', '-o', 'yaml']
  const manifest = await harness().kubectl(['-n', operatorNamespace, ...configMap])
  await harness().kubectl(['apply', '-f', '-'], manifest)
  await releases.install('one', chart, {
    extraEnv: [
      { name: 'NODE_OPTIONS', value: '--import=/faults/fault-server.mjs' },
      { name: 'FAULT_PORT', value: String(faultPort) },
      { name: 'FAULT_HOST', value: sharesHostNetwork ? '127.0.0.1' : '0.0.0.0' },
    ],
    extraVolumes: [
      { name: 'faults', configMap: { name: 'faults' } },
      { name: 'tmp', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
    ],
    extraVolumeMounts: [
      { name: 'faults', mountPath: '/faults', readOnly: true },
      { name: 'tmp', mountPath: '/tmp' },
    ],
  })
}, 400_000)

afterAll(async () => {
  for (const gateway of gateways) gateway.stop()
  await releases.uninstall('one')
  await harness().kubectl(['-n', operatorNamespace, 'delete', 'configmap', 'faults', '--ignore-not-found'])
}, 120_000)

/** Causes a fault in the operator's process. @returns the answer */
async function strike(fault: string): Promise<string> {
  const reach = await forward(harness(), operatorNamespace, await releases.pod('one'), faultPort)
  try {
    return await (await fetch(`${reach.url}/${fault}`)).text()
  } finally {
    reach.stop()
  }
}

async function credential(name: string, lifetime: string): Promise<{ gateway: GatewayPod; keys: Keys }> {
  const gateway = await GatewayPod.start(harness(), namespace, { name, lifetime, args: ['--clock-window', '0s'] })
  gateways.push(gateway)
  const keys = harness().keys()
  await gateway.add(keys)
  await harness().createCredential(namespace, name, gateway, keys)
  await harness().expectReady(namespace, name, 60_000)
  return { gateway, keys }
}

/** Asks for a renewal, and waits until a new token is on the target. */
async function expectRenewal(name: string): Promise<void> {
  const before = await harness().data(namespace, `${name}-token`)
  await harness().patchCredential(namespace, name, {
    metadata: { annotations: { 'enos.io/renew-requested-at': String(performance.now()) } },
  })
  await eventually(async () => {
    const after = await harness().data(namespace, `${name}-token`)
    expect(after?.['accessToken']).not.toBe(before?.['accessToken'])
  }, 20_000)
}

interface ContainerStatus {
  readonly restartCount: number
  readonly lastState: { readonly terminated?: { readonly reason: string } }
}

async function containerStatus(): Promise<ContainerStatus> {
  const args = ['get', 'pod', await releases.pod('one'), '-o', 'jsonpath={.status.containerStatuses[0]}']
  return JSON.parse(await harness().kubectl(['-n', operatorNamespace, ...args])) as ContainerStatus
}

describe('the operator in a container of a real kubelet', () => {
  it('renews while the only place that it may write to is full', async () => {
    await credential('full', '1h')
    expect(await strike('fill?file=/tmp/full')).toBe('ENOSPC')
    await expectRenewal('full')
  })

  it('takes over without a call after the kernel killed it at its memory limit', async () => {
    const { gateway, keys } = await credential('killed', '1h')
    const uid = (await harness().getSecret(namespace, 'killed-token'))?.metadata.uid
    const calls = (await gateway.calls(keys.appKey)).length
    await strike('memory')
    await eventually(
      async () => {
        const { lastState, restartCount } = await containerStatus()
        expect(lastState.terminated?.reason).toBe('OOMKilled')
        expect(restartCount).toBe(1)
      },
      60_000,
      500,
    )
    expect(await releases.leader(60_000)).toBe('one')
    // The takeover has looked at every resource by now.
    await delay(5000)
    expect(await gateway.calls(keys.appKey)).toHaveLength(calls)
    await harness().expectReady(namespace, 'killed')
    await expectRenewal('killed')
    expect((await harness().getSecret(namespace, 'killed-token'))?.metadata.uid).toBe(uid)
  })

  it.each([
    { name: 'forward', ms: 600_000 },
    { name: 'back', ms: -1_200_000 },
  ])('renews in time after its wall clock was set $name by minutes', async ({ ms, name }) => {
    const { gateway, keys } = await credential(`clock-${name}`, '20s')
    const watch = await TokenWatch.start(harness(), namespace, `clock-${name}-token`, gateway)
    const refreshes = async (): Promise<number> =>
      (await gateway.calls(keys.appKey)).filter(({ operation, status }) => operation === 'refresh' && status === 0)
        .length
    const begun = await refreshes()
    expect(await strike(`step?ms=${ms}`)).toBe('done')
    await eventually(async () => expect(await refreshes()).toBeGreaterThanOrEqual(begun + 3), 60_000, 250)
    const { invalid, uids } = await watch.stop()
    expect(invalid).toBe(0)
    expect(uids).toHaveLength(1)
  })
})
