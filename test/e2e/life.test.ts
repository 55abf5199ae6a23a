import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chart } from '../charts/manifests.ts'
import { eventually, type Keys, useHarness } from '../integration/harness.ts'
import { writePreviousChart } from './previous-chart.ts'
import { operatorNamespace, Releases, type Replica, replicas } from './releases.ts'
import { TokenWatch } from './token-watch.ts'
import { GatewayPod, startPod } from './world.ts'

/** Long enough to uninstall and to install between two renewals. */
const lifetimeSeconds = 120
const windowSeconds = 60

const harness = useHarness()
let directory: string
let namespace: string
let releases: Releases
let gateway: GatewayPod
let keys: Keys
let watch: TokenWatch

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'previous-chart-'))
  releases = new Releases(harness())
  const previous = await writePreviousChart(directory)
  for (const replica of replicas) await releases.install(replica, previous)
  namespace = await harness().namespace()
  gateway = await GatewayPod.start(harness(), namespace, { name: 'gateway', lifetime: `${lifetimeSeconds}s` })
  keys = harness().keys()
  await gateway.add(keys)
  await harness().createCredential(namespace, 'life', gateway, keys, {
    renewBefore: `${windowSeconds}s`,
    propagation: 'Immediate',
    targets: [{ name: 'life-token', data: { accessToken: '{{ accessToken }}', appSecret: '{{ appSecret }}' } }],
  })
  await harness().expectReady(namespace, 'life', 60_000)
  const command = ['node', '/app/call-api.mjs', `${gateway.url}/readings`, '0.25']
  await startPod(harness(), namespace, { name: 'consumer', command, mounts: 'life-token' })
  watch = await TokenWatch.start(harness(), namespace, 'life-token', gateway)
}, 400_000)

afterAll(async () => {
  gateway.stop()
  for (const replica of replicas) await releases.uninstall(replica)
  await rm(directory, { recursive: true })
}, 120_000)

const other = (replica: Replica): Replica => (replica === 'one' ? 'two' : 'one')
const kubectl = (...args: string[]): Promise<string> => harness().kubectl(['-n', operatorNamespace, ...args])

/** The process that holds the lease. */
async function leaseHolder(): Promise<string> {
  return await kubectl('get', 'lease', 'enos-credential-operator', '-o', 'jsonpath={.spec.holderIdentity}')
}

async function expectTakeover(leader: Replica): Promise<void> {
  await eventually(async () => expect(await releases.leader()).toBe(other(leader)), 40_000, 500)
}

async function expectAvailable(replica: Replica): Promise<void> {
  await kubectl('rollout', 'status', `deployment/operator-${replica}`, '--timeout=120s')
}

describe('an operator of two replicas on a real node', () => {
  it('is upgraded from the last released chart', async () => {
    for (const replica of replicas) await releases.install(replica, chart)
    await releases.leader()
  })

  it('has another pod take over when the pod of the leader is killed', async () => {
    const leader = await releases.leader()
    const holder = await leaseHolder()
    await kubectl('delete', 'pod', await releases.pod(leader), '--grace-period=0', '--force')
    // The other replica, or the new pod of this one: both wait for the end of the lease.
    await eventually(
      async () => {
        const next = await leaseHolder()
        expect(next).not.toBe('')
        expect(next).not.toBe(holder)
      },
      40_000,
      500,
    )
    await expectAvailable(leader)
    await releases.leader()
  })

  it('has the other replica take over when the pod of the leader is drained', async () => {
    const leader = await releases.leader()
    const node = (await kubectl('get', 'pod', await releases.pod(leader), '-o', 'jsonpath={.spec.nodeName}')).trim()
    const selector = `--pod-selector=app.kubernetes.io/instance=${leader}`
    await kubectl('drain', node, selector, '--ignore-daemonsets', '--delete-emptydir-data', '--timeout=60s')
    try {
      await expectTakeover(leader)
    } finally {
      await kubectl('uncordon', node)
    }
    await expectAvailable(leader)
  })

  it('is rolled', async () => {
    for (const replica of replicas) {
      await kubectl('rollout', 'restart', `deployment/operator-${replica}`)
      await expectAvailable(replica)
    }
    await releases.leader()
  })

  it('is rolled back to the last released chart', async () => {
    for (const replica of replicas) await releases.rollback(replica)
    await releases.leader()
  })

  it('is uninstalled, which keeps resources and Secrets, and installed again', async () => {
    for (const replica of replicas) await releases.uninstall(replica)
    const { status } = await harness().getCredential(namespace, 'life')
    expect(status?.tokenFingerprint).toBeDefined()
    expect(await harness().getSecret(namespace, 'life-token')).toBeDefined()
    for (const replica of replicas) await releases.install(replica, chart)
    await releases.leader()
    await harness().expectReady(namespace, 'life')
  })

  it('renews through all of it: no expired token, no needless refresh, the same Secret', async () => {
    // At least one more, and two in all, however quick the steps before were: gaps are between two.
    const enough = Math.max(watch.tokens + 1, 3)
    await eventually(() => expect(watch.tokens).toBeGreaterThanOrEqual(enough), 2 * lifetimeSeconds * 1000, 500)
    const { invalid, samples, tokens, uids } = await watch.stop()
    expect(invalid).toBe(0)
    expect(samples).toBeGreaterThan(100)
    expect(tokens).toBeGreaterThanOrEqual(3)
    expect(uids).toHaveLength(1)
    const { accepted, refusals } = await gateway.consumerCalls()
    expect(refusals).toEqual([])
    expect(accepted.signature).toBeGreaterThan(100)
    const refreshes = (await gateway.calls(keys.appKey)).filter(
      ({ operation, status }) => operation === 'refresh' && status === 0,
    )
    // Jitter makes an application up to 5 % of the lifetime earlier.
    const minGapMs = (lifetimeSeconds * 0.95 - windowSeconds - 1) * 1000
    const gapsMs = refreshes.slice(1).map(({ atMs }, at) => atMs - (refreshes[at]?.atMs ?? 0))
    expect(gapsMs.filter((gapMs) => gapMs < minGapMs)).toEqual([])
    expect(refreshes.length).toBe(tokens - 1)
  }, 300_000)
})
