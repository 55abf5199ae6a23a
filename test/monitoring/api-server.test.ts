import { afterAll, beforeAll, expect, it } from 'vitest'
import { ApiProxy } from '../faults/api-proxy.ts'
import { eventually, type Keys, useHarness } from '../integration/harness.ts'
import { Monitoring, prometheusPrograms, testFactor } from './prometheus.ts'
import { describeWith } from './promtool.ts'
import { Replicas } from './replicas.ts'

describeWith(Object.values(prometheusPrograms), 'the alerts, in an outage of the API server', () => {
  const harness = useHarness()
  let replicas: Replicas
  let monitoring: Monitoring
  let proxy: ApiProxy
  let namespace: string
  let isStopping = false

  beforeAll(async () => {
    proxy = await ApiProxy.start(harness().access.kubeconfig)
    monitoring = await Monitoring.start(testFactor)
    replicas = await Replicas.create(harness(), monitoring, proxy.kubeconfig)
    namespace = replicas.namespace
    await start('a')
    await start('b')
  })

  afterAll(async () => {
    isStopping = true
    await replicas.stopAll()
    await monitoring.stop()
    await proxy.close()
  })

  /** As the kubelet: a process that exits is started again in its pod. */
  async function start(pod: string): Promise<void> {
    const operator = await replicas.start(pod)
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
    await harness().expectReady(namespace, 'healthy', 30_000)
    const firing = async (): Promise<string[]> => await monitoring.firing()
    await eventually(async () => expect(await firing()).toEqual(['EnosCredentialStalled stalled']), 120_000, 1000)
    await credential('short', 120)
    await harness().expectReady(namespace, 'short', 30_000)
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
})
