import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { secrets } from '../../src/kubernetes/types.ts'
import type { Secret } from '../../src/targets/secret.ts'
import { chart } from '../charts/manifests.ts'
import { eventually, type Keys, useHarness } from '../integration/harness.ts'
import { VersionLog } from '../integration/version-log.ts'
import { Releases } from './releases.ts'
import { GatewayPod, PodLog, podSpec, startPod } from './world.ts'

const harness = useHarness()
let namespace: string
let releases: Releases
const gateways: GatewayPod[] = []

beforeAll(async () => {
  releases = new Releases(harness())
  await releases.install('one', chart)
  namespace = await harness().namespace()
}, 300_000)

afterAll(async () => {
  for (const gateway of gateways) gateway.stop()
  await releases.uninstall('one')
}, 120_000)

async function gatewayFor(name: string, lifetime: string): Promise<{ gateway: GatewayPod; keys: Keys }> {
  const gateway = await GatewayPod.start(harness(), namespace, { name, lifetime })
  gateways.push(gateway)
  const keys = harness().keys()
  await gateway.add(keys)
  return { gateway, keys }
}

function fingerprintOf(secret: Secret): string {
  const token = Buffer.from(secret.data?.['accessToken'] ?? '', 'base64')
  return createHash('sha256').update(token).digest('hex').slice(0, 12)
}

/** Starts a log of when each token was on the target. */
async function targetLog(name: string): Promise<{ times: Map<string, number>; stop: () => Promise<void> }> {
  const times = new Map<string, number>()
  const log = await VersionLog.start<Secret>({
    client: harness().admin,
    type: secrets,
    namespace,
    onVersion: ({ atMs, object }) => {
      if (object.metadata.name !== name) return
      const fingerprint = fingerprintOf(object)
      if (!times.has(fingerprint)) times.set(fingerprint, atMs)
    },
  })
  return { times, stop: () => log.stop() }
}

describe.concurrent('a pod of a real kubelet', () => {
  it('sees each renewal in a mounted Secret while the old token is still valid', { timeout: 400_000 }, async () => {
    // The kubelet's default takes up to 90 s; the window is 120 s.
    const { gateway, keys } = await gatewayFor('slow', '240s')
    await harness().createCredential(namespace, 'mounted', gateway, keys, { renewBefore: '120s' })
    await harness().expectReady(namespace, 'mounted', 60_000)
    const command = ['node', '/app/report-token.mjs']
    // Before the pod: a token that is written while it starts is its second one, too.
    const target = await targetLog('mounted-token')
    await startPod(harness(), namespace, { name: 'mounted', command, mounts: 'mounted-token' })
    const log = new PodLog(harness(), namespace, 'mounted')
    await eventually(() => expect(log.tokens.length).toBeGreaterThanOrEqual(2), 300_000, 250)
    log.stop()
    await target.stop()
    const [, renewed] = log.tokens
    const writtenAt = target.times.get(renewed?.fingerprint ?? '')
    expect((renewed?.atMs ?? Infinity) - (writtenAt ?? 0)).toBeLessThan(120_000)
  })

  it('sees each renewal within 2 s with propagation: Immediate', { timeout: 200_000 }, async () => {
    const { gateway, keys } = await gatewayFor('quick', '20s')
    await harness().createCredential(namespace, 'immediate', gateway, keys, { propagation: 'Immediate' })
    await harness().expectReady(namespace, 'immediate', 60_000)
    const command = ['node', '/app/report-token.mjs']
    const target = await targetLog('immediate-token')
    await startPod(harness(), namespace, { name: 'immediate', command, mounts: 'immediate-token' })
    const log = new PodLog(harness(), namespace, 'immediate')
    await eventually(() => expect(log.tokens.length).toBeGreaterThanOrEqual(6), 120_000, 250)
    log.stop()
    await target.stop()
    const lates = log.tokens.slice(1).map(({ atMs, fingerprint }) => atMs - (target.times.get(fingerprint) ?? NaN))
    expect(Math.max(...lates)).toBeLessThan(2000)
  })

  it(
    'is replaced after each renewal where it reads its environment, by restartOnRenewal',
    { timeout: 200_000 },
    async () => {
      const { gateway, keys } = await gatewayFor('rolled', '60s')
      const spec = { restartOnRenewal: [{ kind: 'Deployment', name: 'reader' }] }
      await harness().createCredential(namespace, 'rolled', gateway, keys, spec)
      await harness().expectReady(namespace, 'rolled', 60_000)
      const pod = podSpec({ command: ['node', '/app/report-token.mjs'] }) as { containers: { env: object[] }[] }
      pod.containers[0]?.env.push({
        name: 'TOKEN',
        valueFrom: { secretKeyRef: { name: 'rolled-token', key: 'accessToken' } },
      })
      const labels = { app: 'reader' }
      const deployment = {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'reader' },
        spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: pod } },
      }
      await harness().kubectl(['-n', namespace, 'apply', '-f', '-'], JSON.stringify(deployment))
      await harness().kubectl(['-n', namespace, 'rollout', 'status', 'deployment/reader', '--timeout=60s'])
      const seen = new Set<string>()
      await eventually(
        async () => {
          const log = await harness().kubectl(['-n', namespace, 'logs', '-l', 'app=reader', '--tail=-1'])
          for (const line of log.trim().split('\n')) seen.add((JSON.parse(line) as { fingerprint: string }).fingerprint)
          expect(seen.size).toBeGreaterThanOrEqual(3)
          const held = (await harness().data(namespace, 'rolled-token'))?.['accessToken'] ?? ''
          expect(await gateway.isValid(held)).toBe(true)
        },
        150_000,
        1000,
      )
    },
  )

  it('has no call refused through several renewals, in any of the three ways', { timeout: 200_000 }, async () => {
    const { gateway, keys } = await gatewayFor('api', '20s')
    const data = { accessToken: '{{ accessToken }}', appSecret: '{{ appSecret }}' }
    await harness().createCredential(namespace, 'caller', gateway, keys, {
      propagation: 'Immediate',
      targets: [{ name: 'caller-token', data }],
    })
    await harness().expectReady(namespace, 'caller', 60_000)
    const url = `${gateway.url}/readings?site=b&site=a`
    const programs = { 'in-node': ['node', '/app/call-api.mjs'], 'in-python': ['python3', '/app/call_api.py'] }
    await Promise.all(
      Object.entries(programs).map(([name, command]) =>
        startPod(harness(), namespace, { name, command: [...command, url, '0.25'], mounts: 'caller-token' }),
      ),
    )
    const renewals = async (): Promise<number> => {
      const calls = await gateway.calls(keys.appKey)
      return calls.filter(({ operation, status }) => operation === 'refresh' && status === 0).length
    }
    const begun = await renewals()
    await eventually(async () => expect(await renewals()).toBeGreaterThanOrEqual(begun + 5), 120_000, 500)
    const { accepted, refusals, refused } = await gateway.consumerCalls()
    expect(refusals).toEqual([])
    expect(refused).toBe(0)
    for (const way of ['signature', 'token', 'bearer'] as const) expect(accepted[way]).toBeGreaterThan(100)
    for (const name of Object.keys(programs)) {
      const log = await harness().kubectl(['-n', namespace, 'logs', name, '--tail=-1'])
      const answers = log.trim().split('\n')
      expect(answers.length).toBeGreaterThan(100)
      expect(answers.filter((line) => !line.endsWith(': 200'))).toEqual([])
    }
  })
})
