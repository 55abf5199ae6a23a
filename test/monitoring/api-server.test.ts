import { afterAll, beforeAll, expect, it } from 'vitest'
import { ApiProxy } from '../faults/api-proxy.ts'
import { eventually, type Keys, useHarness } from '../integration/harness.ts'
import type { OperatorProcess } from '../integration/operator-process.ts'
import { Monitoring, prometheusPrograms, testFactor } from './prometheus.ts'
import { describeWith } from './promtool.ts'

describeWith(Object.values(prometheusPrograms), 'the alerts, in an outage of the API server', () => {
  const harness = useHarness()
  const replicas = new Map<string, OperatorProcess>()
  let monitoring: Monitoring
  let proxy: ApiProxy
  let namespace: string
  let isStopping = false

  beforeAll(async () => {
    namespace = await harness().namespace()
    proxy = await ApiProxy.start(harness().access.kubeconfig)
    monitoring = await Monitoring.start(testFactor)
    await start('a')
    await replicas.get('a')?.working()
    await start('b')
  })

  afterAll(async () => {
    isStopping = true
    await Promise.all([...replicas.values()].map((operator) => operator.end()))
    await monitoring.stop()
    await proxy.close()
  })

  /** As the kubelet: a process that exits is started again in its pod. */
  async function start(pod: string): Promise<void> {
    const args = ['--leader-elect-namespace', 'enos-system', '--namespace', namespace]
    const operator = await harness().operator({ args, kubeconfig: proxy.kubeconfig })
    replicas.set(pod, operator)
    await monitoring.scrape(pod, operator)
    void operator.exited().then(async () => {
      if (!isStopping) await start(pod)
    })
  }

  async function credential(name: string, lifetimeSeconds: number, wrong: Partial<Keys> = {}): Promise<void> {
    const gateway = await harness().gateway({ lifetimeSeconds })
    const keys = harness().keys()
    gateway.service.addApplication(keys)
    await harness().createCredential(namespace, name, gateway, { ...keys, ...wrong })
  }

  it('none is blinded: those that fire go on, and what the outage breaks fires', { timeout: 480_000 }, async () => {
    await credential('healthy', 7200)
    await credential('stalled', 7200, { appSecret: harness().keys().appSecret })
    await harness().expectReady(namespace, 'healthy')
    const firing = async (): Promise<string[]> => await monitoring.firing()
    await eventually(async () => expect(await firing()).toEqual(['EnosCredentialStalled stalled']), 120_000, 1000)
    await credential('short', 120)
    await harness().expectReady(namespace, 'short')
    // The standby has its caches, and every series is scraped.
    await eventually(async () => {
      expect(await monitoring.query('credential:enos_credential_ready:last{name="short"} == 1')).toHaveLength(1)
    }, 30_000)

    const lostAt = Date.now() / 1000
    proxy.setFaults(() => ({ kind: 'reset' }))
    proxy.cutWatches()
    const broken = [
      'EnosCredentialStalled stalled',
      'EnosCredentialTokenExpired short',
      'EnosOperatorAPIServerRefusing <error>',
      'EnosOperatorNoLeader',
      'EnosOperatorWatchStale enosappcredentials',
      'EnosOperatorWatchStale secrets',
    ]
    await eventually(async () => expect(await firing()).toEqual(broken), 270_000, 1000)
    const fired = await monitoring.fired(lostAt)
    expect(fired).toEqual([...broken, 'EnosCredentialTokenExpiresSoon short'].toSorted())
    const [stalled] = await monitoring.range('ALERTS{alertname="EnosCredentialStalled",alertstate="firing"}', lostAt)
    const gaps = stalled?.times.slice(1).map((at, i) => at - (stalled.times[i] ?? 0)) ?? []
    expect(Math.max(...gaps)).toBeLessThan(2 * monitoring.intervalSeconds)
    const resolved = monitoring.notifications.filter(({ status }) => status === 'resolved')
    expect(resolved.map(({ labels }) => labels['alertname'])).not.toContain('EnosCredentialStalled')

    proxy.setFaults(() => undefined)
    await harness().expectReady(namespace, 'short', 90_000)
    await eventually(async () => expect(await firing()).not.toContain('EnosCredentialTokenExpired short'), 60_000, 1000)
  })

  it('no replica at all fires one alert of its own', { timeout: 240_000 }, async () => {
    isStopping = true
    for (const [pod, operator] of replicas) {
      await operator.end()
      await monitoring.forget(pod)
    }
    await eventually(async () => expect(await monitoring.firing()).toEqual(['EnosOperatorAbsent']), 200_000, 1000)
  })
})
