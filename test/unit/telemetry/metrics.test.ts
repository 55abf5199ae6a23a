import { describe, expect, it } from 'vitest'
import { TokenService } from '../../../simulator/token-service.ts'
import { writeReasons } from '../../../src/api/v1alpha1/action-reasons.ts'
import { managedBy } from '../../../src/api/v1alpha1/names.ts'
import { credentials, keyOf, secrets } from '../../../src/kubernetes/types.ts'
import { WorkQueue, type WorkQueueSnapshot } from '../../../src/kubernetes/work-queue.ts'
import type { CredentialSample } from '../../../src/telemetry/credential-metrics.ts'
import type { GatewaySample } from '../../../src/telemetry/gateway-metrics.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'
import { describeWith, findProgram } from '../../monitoring/promtool.ts'
import { condition, hourMs, marker, now, spec } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { MemoryApi } from '../../support/memory-api.ts'
import { MemoryOperator } from '../../support/memory-operator.ts'
import { runToEnd } from '../../support/run.ts'
import { clientOf } from '../enos/support.ts'

const promtool = findProgram('promtool', 'PROMTOOL')

/** Metrics and their sources. */
class World {
  readonly logOutput = { droppedLines: 0 }
  readonly metrics = new Metrics({ version: '1.2.3', leaseName: 'the-lease', logOutput: this.logOutput })
  credentials: CredentialSample[] = []
  gateways: GatewaySample[] = []
  queues: WorkQueueSnapshot[] = []
  watches: { resource: string; lastContactAtWall: number }[] = []

  constructor() {
    this.metrics.connect({
      credentials: () => this.credentials,
      hasCredential: (key) => this.credentials.some((one) => keyOf(one) === key),
      gateways: () => this.gateways,
      queues: () => this.queues,
      watches: () => this.watches,
    })
  }

  /** The text of a scrape. */
  async text(): Promise<string> {
    const decoder = new TextDecoder()
    let text = ''
    for (const piece of (await this.metrics.render()).body) text += decoder.decode(piece, { stream: true })
    return text
  }

  /** The series of a metric at a scrape: `label="value",…` → value. */
  async series(name: string): Promise<Record<string, number>> {
    const body = await this.text()
    expect(body).toMatch(new RegExp(`^# TYPE ${name.replace(/_(?:bucket|count|sum)$/, '')} `, 'm'))
    const lines = body.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)
    return Object.fromEntries(
      [...lines].flatMap(([, of, labels = '', value]) => (of === name ? [[labels, Number(value)]] : [])),
    )
  }
}

function sample(overrides: Partial<CredentialSample> = {}): CredentialSample {
  return {
    namespace: 'plant-a',
    name: 'wind-farm',
    expiresAtWall: now,
    nextRenewalAtWall: now - 1500,
    conditions: [condition('Ready'), condition('RenewalHealthy', 'False', 'GatewayError')],
    consecutiveFailures: 3,
    targets: 2,
    contestedTargets: 1,
    isSuspended: false,
    gatewayHost: 'apim.example.com:8443',
    expiredSeconds: 1.5,
    ...overrides,
  }
}

const windFarm = 'namespace="plant-a",name="wind-farm"'

describe('Metrics of a resource', () => {
  it.each([
    ['enos_credential_token_expiry_timestamp_seconds', now / 1000],
    ['enos_credential_next_renewal_timestamp_seconds', now / 1000 - 1.5],
    ['enos_credential_consecutive_failures', 3],
    ['enos_credential_targets', 2],
    ['enos_credential_contested_targets', 1],
    ['enos_credential_expired_seconds_total', 1.5],
    ['enos_credential_suspended', 0],
  ])('include %s', async (name, value) => {
    const world = new World()
    world.credentials = [sample(), sample({ name: 'solar-farm' })]
    expect(await world.series(name)).toEqual({ [windFarm]: value, 'namespace="plant-a",name="solar-farm"': value })
  })

  it('have three series for each condition', async () => {
    const world = new World()
    world.credentials = [sample()]
    expect(await world.series('enos_credential_condition')).toEqual({
      [`${windFarm},type="Ready",status="True"`]: 1,
      [`${windFarm},type="Ready",status="False"`]: 0,
      [`${windFarm},type="Ready",status="Unknown"`]: 0,
      [`${windFarm},type="RenewalHealthy",status="True"`]: 0,
      [`${windFarm},type="RenewalHealthy",status="False"`]: 1,
      [`${windFarm},type="RenewalHealthy",status="Unknown"`]: 0,
    })
  })

  it('are absent while unknown', async () => {
    const world = new World()
    const unknown = { expiresAtWall: undefined, nextRenewalAtWall: undefined, consecutiveFailures: undefined }
    const invalid = { isSuspended: undefined, gatewayHost: undefined }
    world.credentials = [sample({ ...unknown, ...invalid, conditions: [] })]
    for (const name of [
      'enos_credential_token_expiry_timestamp_seconds',
      'enos_credential_next_renewal_timestamp_seconds',
      'enos_credential_consecutive_failures',
      'enos_credential_condition',
      'enos_credential_suspended',
      'enos_credential_info',
    ]) {
      expect(await world.series(name)).toEqual({})
    }
  })

  it('have a series for each problem, with its reason and its start', async () => {
    const world = new World()
    const start = (now - hourMs) / 1000
    world.credentials = [
      sample({
        conditions: [
          condition('Ready', 'False', 'TargetContested'),
          condition('RenewalHealthy', 'Unknown', 'Suspended'),
          condition('Reconciling', 'True', 'WaitingForToken'),
          condition('Stalled', 'True', 'InvalidAppSecret'),
          condition('Propagated', 'False', 'PropagationFailed'),
        ],
      }),
    ]
    expect(await world.series('enos_credential_problem_start_timestamp_seconds')).toEqual({
      [`${windFarm},type="Ready",reason="TargetContested"`]: start,
      [`${windFarm},type="RenewalHealthy",reason="Suspended"`]: start,
      [`${windFarm},type="Stalled",reason="InvalidAppSecret"`]: start,
    })
  })

  it('have no series of a problem while all is well', async () => {
    const world = new World()
    const conditions = ['Ready', 'RenewalHealthy'].map((type) => condition(type))
    world.credentials = [sample({ conditions }), sample({ name: 'solar-farm', conditions: [] })]
    expect(await world.series('enos_credential_problem_start_timestamp_seconds')).toEqual({})
  })

  it('escape what another writer put into a condition', async () => {
    const world = new World()
    world.credentials = [sample({ conditions: [condition('a"b\\c\nd')] })]
    expect(await world.text()).toContain(`{${windFarm},type="a\\"b\\\\c\\nd",status="True"} 1\n`)
    world.credentials = [sample({ conditions: [condition('Ready', 'False', 'a"b\\c\nd')] })]
    expect(await world.text()).toContain(`{${windFarm},type="Ready",reason="a\\"b\\\\c\\nd"} `)
  })

  it('are written in pieces of 256 KiB at most', async () => {
    const world = new World()
    world.credentials = [...Array(2000).keys()].map((at) => sample({ name: `wind-farm-${at}` }))
    const sizes: number[] = []
    for (const piece of (await world.metrics.render()).body) sizes.push(piece.length)
    expect(sizes.length).toBeGreaterThan(10)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(256 * 1024)
    const lines = (await world.text()).split('\n')
    expect(lines.filter((line) => line.startsWith('enos_credential_renewals_total{'))).toHaveLength(8000)
    expect(lines.filter((line) => /^# TYPE enos_credential_\w+ (?:gauge|counter)$/.test(line))).toHaveLength(12)
    expect(lines.filter((line) => !/^(?:[a-z\d_]+(?:\{.*\})? \S+|# .*|)$/.test(line))).toEqual([])
  })

  it('disappear with the resource', async () => {
    const world = new World()
    world.credentials = [sample(), sample({ name: 'solar-farm' })]
    world.metrics.onAttempt(['plant-a/wind-farm', 'plant-a/solar-farm'], 'refresh', 'success')
    await world.text()
    world.credentials = [sample({ name: 'solar-farm' })]
    world.metrics.forget('plant-a/wind-farm')
    const body = await world.text()
    expect(body).not.toContain('wind-farm')
    expect(body).toContain('solar-farm')
  })
})

describeWith([promtool], 'promtool check metrics', () => {
  it('finds no fault in a scrape', async () => {
    const world = new World()
    world.credentials = [sample()]
    world.watches = [{ resource: 'secrets', lastContactAtWall: now }]
    world.metrics.onAttempt(['plant-a/wind-farm'], 'get', 'success')
    world.metrics.gateways.onCall('apim.example.com', 'get', '0', 12)
    const report = await runToEnd(promtool ?? '', ['check', 'metrics'], { input: await world.text() })
    expect(report).toEqual({ code: 0, stdout: '', stderr: '' })
  })
})

describe('Metrics of counted events', () => {
  it('count renewals for each resource of an application', async () => {
    const world = new World()
    world.credentials = [sample(), sample({ namespace: 'plant-b', name: 'other' })]
    world.metrics.onAttempt(['plant-a/wind-farm', 'plant-b/other'], 'get', 'success')
    world.metrics.onAttempt(['plant-a/wind-farm'], 'refresh', 'error')
    world.metrics.onAttempt(['plant-a/wind-farm'], 'refresh', 'error')
    expect(await world.series('enos_credential_renewals_total')).toEqual({
      [`${windFarm},method="get",result="success"`]: 1,
      [`${windFarm},method="get",result="error"`]: 0,
      [`${windFarm},method="refresh",result="success"`]: 0,
      [`${windFarm},method="refresh",result="error"`]: 2,
      'namespace="plant-b",name="other",method="get",result="success"': 1,
      'namespace="plant-b",name="other",method="get",result="error"': 0,
      'namespace="plant-b",name="other",method="refresh",result="success"': 0,
      'namespace="plant-b",name="other",method="refresh",result="error"': 0,
    })
  })

  it('begin the renewals of a resource with 0 before its first attempt', async () => {
    const world = new World()
    world.credentials = [sample()]
    expect(await world.series('enos_credential_renewals_total')).toEqual({
      [`${windFarm},method="get",result="success"`]: 0,
      [`${windFarm},method="get",result="error"`]: 0,
      [`${windFarm},method="refresh",result="success"`]: 0,
      [`${windFarm},method="refresh",result="error"`]: 0,
    })
  })

  it('drop an attempt that is counted after its resource was deleted', async () => {
    const world = new World()
    world.metrics.forget('plant-a/wind-farm')
    world.metrics.onAttempt(['plant-a/wind-farm'], 'get', 'error')
    expect(await world.series('enos_credential_renewals_total')).toEqual({})
  })

  it('count writes of targets', async () => {
    const world = new World()
    world.metrics.onTargetWrite('create', 'Missing', 'success')
    world.metrics.onTargetWrite('update', 'NewToken', 'success')
    world.metrics.onTargetWrite('update', 'NewToken', 'success')
    world.metrics.onTargetWrite('delete', 'RemovedFromSpec', 'error')
    const series = await world.series('enos_credential_target_writes_total')
    expect(Object.fromEntries(Object.entries(series).filter(([, value]) => value > 0))).toEqual({
      'operation="create",reason="Missing",result="success"': 1,
      'operation="update",reason="NewToken",result="success"': 2,
      'operation="delete",reason="RemovedFromSpec",result="error"': 1,
    })
  })

  it('begin the writes of targets with 0, for each operation, reason and result', async () => {
    const series = await new World().series('enos_credential_target_writes_total')
    expect(Object.keys(series)).toHaveLength(3 * Object.keys(writeReasons).length * 2)
    expect(series).toMatchObject({ 'operation="update",reason="NewToken",result="error"': 0 })
    expect(Object.values(series).every((value) => value === 0)).toBe(true)
  })

  it('observe the headroom of renewals, which is 0 where the old token had expired', async () => {
    const world = new World()
    world.metrics.onHeadroom(24 * 60_000)
    world.metrics.onHeadroom(-500)
    const buckets = await world.series('enos_credential_renewal_headroom_seconds_bucket')
    expect([buckets['le="0"'], buckets['le="1200"'], buckets['le="1800"']]).toEqual([1, 1, 2])
    expect(await world.series('enos_credential_renewal_headroom_seconds_sum')).toEqual({ '': 1440 })
  })

  it('observe the lateness of the queue of renewals and of no other queue', async () => {
    const world = new World()
    world.metrics.queues.onLate('applications', 40)
    world.metrics.queues.onLate('credentials', 5000)
    expect(await world.series('enos_credential_renewal_overdue_seconds_count')).toEqual({ '': 1 })
    expect(await world.series('enos_credential_renewal_overdue_seconds_sum')).toEqual({ '': 0.04 })
  })

  it('count answers of the API server', async () => {
    const world = new World()
    world.metrics.onApiAnswer({ code: '409', method: 'PATCH', host: '10.0.0.1:443' })
    expect(await world.series('rest_client_requests_total')).toEqual({
      'code="409",method="PATCH",host="10.0.0.1:443"': 1,
    })
  })
})

it('headroom is observed for renewals and not for first syncs', async () => {
  const clock = new FakeClock(now)
  const keys = { appKey: marker.appKey, appSecret: marker.appSecret }
  const service = new TokenService({ clock, applications: [keys], lifetimeSeconds: 7200 })
  const api = new MemoryApi(clock, managedBy)
  const operator = new MemoryOperator(
    api,
    clientOf(clock, () => service),
    clock,
  )
  const user = api.user('kubectl')
  user.create(secrets, 'plant-a', { metadata: { name: 'enos-app' }, stringData: keys })
  user.create(credentials, 'plant-a', { metadata: { name: 'wind-farm' }, spec: spec() })
  await clock.advance(60_000)
  expect(api.find(secrets, { namespace: 'plant-a', name: 'enos-token' })).toBeDefined()
  expect(operator.headrooms).toEqual([])
  await clock.advance(2 * 60 * 60_000 - 120_000)
  // The window of 24 minutes and the jitter before it.
  expect(operator.headrooms).toHaveLength(1)
  expect(operator.headrooms[0]).toBeGreaterThanOrEqual(24 * 60_000)
  expect(operator.headrooms[0]).toBeLessThan(30 * 60_000)
  await operator.kill()
})

describe('Metrics of gateways', () => {
  const gateway = (host: string, isCircuitOpen = false): GatewaySample => ({ host, isCircuitOpen })

  it('count calls by operation and code, and observe their duration', async () => {
    const world = new World()
    world.gateways = [gateway('a.example')]
    world.metrics.gateways.onCall('a.example', 'get', '0', 30)
    world.metrics.gateways.onCall('a.example', 'get', 'http_503', 10)
    world.metrics.gateways.onCall('a.example', 'refresh', 'error', 10_000)
    expect(await world.series('enos_gateway_requests_total')).toEqual({
      'host="a.example",operation="get",code="0"': 1,
      'host="a.example",operation="get",code="http_503"': 1,
      'host="a.example",operation="refresh",code="error"': 1,
    })
    expect(await world.series('enos_gateway_request_duration_seconds_sum')).toEqual({
      'host="a.example",operation="get"': 0.04,
      'host="a.example",operation="refresh"': 10,
    })
  })

  it('show the skew of their clocks in seconds', async () => {
    const world = new World()
    world.gateways = [gateway('a.example')]
    world.metrics.gateways.onClockSkew('a.example', -1500)
    expect(await world.series('enos_gateway_clock_skew_seconds')).toEqual({ 'host="a.example"': -1.5 })
  })

  it.each([
    [true, false],
    [false, true],
  ])('show an open circuit of a host, whichever of its gateways has it (%s, %s)', async (first, second) => {
    const world = new World()
    world.gateways = [gateway('a.example', first), gateway('a.example', second), gateway('b.example')]
    expect(await world.series('enos_gateway_circuit_open')).toEqual({ 'host="a.example"': 1, 'host="b.example"': 0 })
    world.gateways = [gateway('a.example'), gateway('a.example')]
    expect(await world.series('enos_gateway_circuit_open')).toEqual({ 'host="a.example"': 0 })
  })

  it('disappear with their gateway and no other', async () => {
    const world = new World()
    world.gateways = [gateway('a.example'), gateway('b.example')]
    for (const host of ['a.example', 'b.example']) {
      world.metrics.gateways.onCall(host, 'get', '0', 30)
      world.metrics.gateways.onClockSkew(host, 1000)
    }
    await world.text()
    world.gateways = [gateway('b.example')]
    const body = await world.text()
    expect(body).not.toContain('a.example')
    for (const name of ['requests_total', 'request_duration_seconds_count', 'clock_skew_seconds', 'circuit_open']) {
      expect(body).toContain(`enos_gateway_${name}{host="b.example"`)
    }
  })

  it('have their host in enos_credential_info, also for the hosts that are counted as `other`', async () => {
    const world = new World()
    world.credentials = [sample(), sample({ name: 'solar-farm', isSuspended: true, gatewayHost: 'late.example' })]
    const info = (host: string): string => `namespace="plant-a",name="solar-farm",host="${host}"`
    const wanted = { [`${windFarm},host="apim.example.com:8443"`]: 1 }
    world.metrics.gateways.onCall('apim.example.com:8443', 'get', '0', 30)
    expect(await world.series('enos_credential_info')).toEqual({ ...wanted, [info('late.example')]: 1 })
    world.gateways = [...Array(100).keys()].map((at) => gateway(at === 0 ? 'apim.example.com:8443' : `${at}.example`))
    for (const { host } of world.gateways) world.metrics.gateways.onCall(host, 'get', '0', 30)
    expect(await world.series('enos_credential_info')).toEqual({ ...wanted, [info('other')]: 1 })
    expect((await world.series('enos_credential_suspended'))['namespace="plant-a",name="solar-farm"']).toBe(1)
  })

  it('have at most a hundred hosts as labels and count the others as `other`, which stays', async () => {
    const world = new World()
    const hosts = [...Array(103).keys()].map((at) => `gateway-${at}.example`)
    world.gateways = hosts.map((host, at) => gateway(host, at === 101))
    for (const host of hosts) world.metrics.gateways.onCall(host, 'get', '0', 30)
    const requests = await world.series('enos_gateway_requests_total')
    expect(Object.keys(requests)).toHaveLength(101)
    expect(requests['host="other",operation="get",code="0"']).toBe(3)
    expect(requests['host="gateway-99.example",operation="get",code="0"']).toBe(1)
    expect((await world.series('enos_gateway_circuit_open'))['host="other"']).toBe(1)

    // A free label goes to the next new host.
    world.gateways = world.gateways.slice(1)
    await world.text()
    world.metrics.gateways.onCall('gateway-102.example', 'get', '0', 30)
    const later = await world.series('enos_gateway_requests_total')
    expect(later['host="gateway-0.example",operation="get",code="0"']).toBeUndefined()
    expect(Object.keys(later)).toHaveLength(101)
    expect(later['host="other",operation="get",code="0"']).toBe(3)
  })
})

describe('Metrics of the machinery', () => {
  it('have the names of client-go for work queues and add up queues of the same name', async () => {
    const world = new World()
    const options = { name: '', clock: new FakeClock(), random: () => 0.5, onError: () => undefined }
    const idle = new WorkQueue(options).snapshot()
    const queue = (name: string, overrides: Partial<WorkQueueSnapshot> = {}): WorkQueueSnapshot => {
      return { ...idle, name, ...overrides }
    }
    world.queues = [
      queue('applications', { depth: 2, unfinishedMs: 3000, maxRunningMs: 1000 }),
      queue('applications', { depth: 1, unfinishedMs: 1000, maxRunningMs: 2000 }),
      queue('credentials'),
    ]
    const { queues } = world.metrics
    queues.onAdd('credentials')
    queues.onRetry('credentials')
    queues.onStart('credentials', 50)
    queues.onDone('credentials', 200)
    const both = (applications: number): object => ({ 'name="applications"': applications, 'name="credentials"': 0 })
    expect(await world.series('workqueue_depth')).toEqual(both(3))
    expect(await world.series('workqueue_unfinished_work_seconds')).toEqual(both(4))
    expect(await world.series('workqueue_longest_running_processor_seconds')).toEqual(both(2))
    const counts = { 'name="applications"': 0, 'name="credentials"': 1 }
    expect(await world.series('workqueue_adds_total')).toEqual(counts)
    expect(await world.series('workqueue_retries_total')).toEqual(counts)
    expect(await world.series('workqueue_queue_duration_seconds_sum')).toEqual({ 'name="credentials"': 0.05 })
    expect(await world.series('workqueue_work_duration_seconds_sum')).toEqual({ 'name="credentials"': 0.2 })
  })

  it('show the earliest contact of the watches of a resource', async () => {
    const world = new World()
    world.watches = [
      { resource: 'secrets', lastContactAtWall: now },
      { resource: 'secrets', lastContactAtWall: now - 30_000 },
      { resource: 'configmaps', lastContactAtWall: now - 500 },
    ]
    expect(await world.series('enos_watch_last_contact_timestamp_seconds')).toEqual({
      'resource="secrets"': now / 1000 - 30,
      'resource="configmaps"': now / 1000 - 0.5,
    })
  })

  it('count dropped log lines, beginning with 0', async () => {
    const world = new World()
    expect(await world.series('enos_log_lines_dropped_total')).toEqual({ '': 0 })
    world.logOutput.droppedLines = 7
    expect(await world.series('enos_log_lines_dropped_total')).toEqual({ '': 7 })
    expect(await world.series('enos_log_lines_dropped_total')).toEqual({ '': 7 })
  })

  it('show by the lease whether the replica leads', async () => {
    const world = new World()
    world.metrics.setLeading(false)
    expect(await world.series('leader_election_master_status')).toEqual({ 'name="the-lease"': 0 })
    world.metrics.setLeading(true)
    expect(await world.series('leader_election_master_status')).toEqual({ 'name="the-lease"': 1 })
  })

  it('include build, process and runtime', async () => {
    const world = new World()
    expect(await world.series('enos_build_info')).toEqual({
      [`version="1.2.3",node_version="${process.version}"`]: 1,
    })
    const body = await world.text()
    expect((await world.metrics.render()).contentType).toMatch(/^text\/plain/)
    for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'nodejs_heap_size_used_bytes']) {
      expect(body).toContain(`# TYPE ${name} `)
    }
  })
})
