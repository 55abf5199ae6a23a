import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually, useHarness } from '../integration/harness.ts'
import { delay, Monitoring, prometheusPrograms, testFactor } from './prometheus.ts'
import { describeWith } from './promtool.ts'
import { Replicas } from './replicas.ts'

describeWith(Object.values(prometheusPrograms), 'the alerts, in restarts of all replicas', () => {
  const harness = useHarness()
  let monitoring: Monitoring
  let replicas: Replicas

  beforeAll(async () => {
    monitoring = await Monitoring.start(testFactor)
    replicas = await Replicas.create(harness(), monitoring)
    await replicas.start('a')
    await replicas.start('b')
  })

  afterAll(async () => {
    await monitoring.stop()
  })

  async function credential(name: string, lifetimeSeconds: number): Promise<void> {
    const gateway = await harness().gateway({ lifetimeSeconds })
    const keys = harness().keys()
    gateway.service.addApplication(keys)
    await harness().createCredential(replicas.namespace, name, gateway, keys)
    await harness().expectReady(replicas.namespace, name, 30_000)
  }

  it('a rolling restart without faults fires none', { timeout: 180_000 }, async () => {
    const begunAt = Date.now() / 1000
    await credential('healthy-minute', 60)
    await credential('healthy-hours', 7200)
    await delay(20_000)
    await replicas.start('c')
    await replicas.stop('a')
    await delay(20_000)
    await replicas.start('d')
    await replicas.stop('b')
    await delay(60_000)
    expect(await monitoring.fired(begunAt)).toEqual([])
    expect(monitoring.notifications).toEqual([])
    // The rules were evaluated, and knew both credentials all the time.
    const known = await monitoring.range('count(credential:enos_credential_ready:last == 1)', begunAt + 30)
    expect(known.flatMap(({ values }) => values).filter((count) => count !== 2)).toEqual([])
    expect(known[0]?.values.length).toBeGreaterThan(10)
  })

  it('no replica at all fires one alert of its own', { timeout: 240_000 }, async () => {
    await replicas.stopAll()
    await eventually(async () => expect(await monitoring.firing()).toEqual(['EnosOperatorAbsent']), 200_000, 1000)
  })
})
