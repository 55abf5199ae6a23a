import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { rows } from '../../monitoring/dashboard/dashboard.ts'
import type { Simulator } from '../../simulator/server.ts'
import { eventually, useHarness } from '../integration/harness.ts'
import { drawDashboard, type DrawnPanel } from './picture.ts'
import { delay, Monitoring, prometheusPrograms, type Series, subjectOf, testFactor } from './prometheus.ts'
import { describeWith } from './promtool.ts'
import { Replicas } from './replicas.ts'

/** With the values that Grafana puts in for its variables. */
function grafanaQuery(expression: string): string {
  return expression.replaceAll('$job', '.+').replaceAll('$__rate_interval', `${4 * 30 * testFactor}s`)
}

describeWith(Object.values(prometheusPrograms), 'the alerts, by a real Prometheus, leader and standby', () => {
  const harness = useHarness()
  let monitoring: Monitoring
  let namespace: string
  let replicas: Replicas
  const skewed: Server[] = []

  beforeAll(async () => {
    monitoring = await Monitoring.start(testFactor)
    replicas = await Replicas.create(harness(), monitoring)
    namespace = replicas.namespace
    await replicas.start('a')
    await replicas.start('b')
  })

  afterAll(async () => {
    for (const server of skewed) server.close()
    await monitoring.stop()
  })

  async function credential(
    name: string,
    gateway: Pick<Simulator, 'url' | 'service'>,
    url = gateway.url,
  ): Promise<void> {
    const keys = harness().keys()
    gateway.service.addApplication(keys)
    await harness().createCredential(namespace, name, { url }, keys)
    await harness().expectReady(namespace, name, 30_000)
  }

  it(
    'faults fire exactly their alerts, in time, and a failover neither ends nor repeats one',
    { timeout: 420_000 },
    async () => {
      const begunAt = Date.now() / 1000
      const lost = await harness().gateway({ lifetimeSeconds: 120 })
      await credential('healthy-minute', await harness().gateway({ lifetimeSeconds: 60 }))
      await credential('healthy-hours', await harness().gateway({ lifetimeSeconds: 7200 }))
      await credential('outage', lost)
      await credential('suspended', await harness().gateway({ lifetimeSeconds: 60 }))
      await credential('contested', await harness().gateway({ lifetimeSeconds: 7200 }))
      const ahead = await harness().gateway({ lifetimeSeconds: 7200 })
      const aheadUrl = await withSkew(ahead.url, 120_000)
      await credential('skewed', ahead, aheadUrl)
      // Faults of users: suspended past the expiry, and an appSecret that does not belong to the appKey.
      await harness().patchCredential(namespace, 'suspended', { spec: { suspend: true } })
      const refusing = await harness().gateway()
      const { appKey } = harness().keys()
      refusing.service.addApplication({ appKey, appSecret: harness().keys().appSecret })
      await harness().createCredential(namespace, 'stalled', refusing, {
        appKey,
        appSecret: harness().keys().appSecret,
      })
      await lost.setOutage(true)
      const rival = setInterval(() => {
        void harness()
          .patchSecret(namespace, 'contested-token', { data: { accessToken: 'Zm9yZ2Vk' } })
          .catch(() => undefined)
      }, 500)
      const hosts = { lost: new URL(lost.url).host, ahead: new URL(aheadUrl).host }
      const lasting = [
        'EnosCredentialNotReady contested',
        'EnosCredentialNotReady suspended',
        'EnosCredentialRenewalFailing outage',
        'EnosCredentialServedWhileExpired outage',
        'EnosCredentialStalled stalled',
        'EnosCredentialTargetContested contested',
        'EnosCredentialTokenExpired outage',
        `EnosGatewayCircuitOpen ${hosts.lost}`,
        `EnosGatewayClockSkew ${hosts.ahead}`,
        `EnosGatewayFailing ${hosts.lost}`,
      ].toSorted()
      try {
        await eventually(async () => expect(await monitoring.firing()).toEqual(lasting), 300_000, 2000)
        expect(await monitoring.fired(begunAt)).toEqual(
          [...lasting, 'EnosCredentialTokenExpiresSoon outage'].toSorted(),
        )

        // What could be foreseen fired before the token expired.
        const [expiry] = await monitoring.query('enos_credential_token_expiry_timestamp_seconds{name="outage"}')
        for (const alert of ['EnosCredentialTokenExpiresSoon', 'EnosCredentialRenewalFailing']) {
          const [series] = await monitoring.range(
            `ALERTS{alertname="${alert}",name="outage",alertstate="firing"}`,
            begunAt,
          )
          expect(series?.times[0], alert).toBeLessThan(expiry?.values[0] ?? 0)
        }
        // Alertmanager sends a second later; what is sent after the failover is counted below.
        await eventually(() => {
          const sent = monitoring.notifications.map(({ labels }) => subjectOf(labels))
          expect(sent).toEqual(expect.arrayContaining(lasting))
        }, 30_000)
        // Texts name the credential, or those of the gateway.
        const texts = monitoring.notifications.map(
          ({ annotations, labels }) => `${subjectOf(labels)}: ${Object.values(annotations).join(' ')}`,
        )
        for (const text of texts) expect(text).not.toMatch(/<no value>|error (?:executing|expanding)|NaN/)
        expect(texts.filter((text) => text.includes(`EnosGatewayCircuitOpen ${hosts.lost}`)).join()).toContain(
          `${namespace}/outage`,
        )
        const ofStalled = texts.filter((text) => text.startsWith('EnosCredentialStalled')).join()
        expect(ofStalled).toContain(`${namespace}/stalled`)
        expect(ofStalled).toMatch(
          /The reason is InvalidAppSecret, since [^(]+ UTC \(\S+\/reasons\.md#InvalidAppSecret\)\. /,
        )

        await expectDashboard(begunAt)

        const notified = monitoring.notifications.length
        const failedAt = Date.now() / 1000
        await replicas.stop(await replicas.leader(), 'SIGKILL')
        await delay(60_000)
        const evaluations = await monitoring.range('ALERTS{alertstate="firing"}', failedAt)
        expect(evaluations.map(({ labels }) => subjectOf(labels)).toSorted()).toEqual(lasting)
        for (const { labels, times } of evaluations) {
          const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0))
          expect(Math.max(...gaps), subjectOf(labels)).toBeLessThan(2 * monitoring.intervalSeconds)
        }
        expect(monitoring.notifications.slice(notified)).toEqual([])
      } finally {
        clearInterval(rival)
      }
      await lost.setOutage(false)
      await eventually(
        async () => expect(await monitoring.firing()).not.toContain('EnosCredentialTokenExpired outage'),
        60_000,
        1000,
      )
    },
  )

  /** Each query of the dashboard has an answer, and counts each credential and each renewal once. */
  async function expectDashboard(from: number): Promise<void> {
    const drawn: DrawnPanel[] = []
    for (const panel of rows.flatMap((row) => row.panels)) {
      const answers: Series[][] = []
      for (const { expression } of panel.queries) {
        const query = grafanaQuery(expression)
        const series = await monitoring.range(query, panel.kind === 'graph' ? from : Date.now() / 1000)
        expect(
          series.some(({ values }) => values.some(Number.isFinite)),
          `${panel.title}: ${query}`,
        ).toBe(true)
        answers.push(series)
      }
      drawn.push({ panel, answers })
    }
    const stats = drawn.filter(({ panel }) => panel.kind === 'stat')
    expect(
      Object.fromEntries(stats.map(({ answers, panel }) => [panel.title, answers[0]?.[0]?.values.at(-1)])),
    ).toEqual({
      Credentials: 7,
      Expired: 2,
      'Not ready': 4,
      'Renewing fails': 2,
      Contested: 1,
      Suspended: 1,
    })
    const urgent = drawn.find(({ panel }) => panel.title === 'Credentials, the most urgent first')
    // One line each: all with a token, and all.
    expect([urgent?.answers[0]?.length, urgent?.answers[2]?.length]).toEqual([6, 7])
    const wrong = drawn.find(({ panel }) => panel.title === 'What is wrong, the longest first')
    const [since = [], left = []] = wrong?.answers ?? []
    expect(since.map(({ labels: { name, reason, type } }) => `${name} ${type} ${reason}`).toSorted()).toEqual([
      'contested Ready TargetContested',
      'outage Ready TokenExpired',
      'outage RenewalHealthy GatewayUnreachable',
      'stalled Ready InvalidAppSecret',
      'stalled RenewalHealthy InvalidAppSecret',
      'stalled Stalled InvalidAppSecret',
      'suspended Ready TokenExpired',
      'suspended RenewalHealthy Suspended',
    ])
    for (const { labels, values } of since) {
      expect(values[0], labels['name']).toBeGreaterThan(from * 1000 - 1000)
      expect(values[0], labels['name']).toBeLessThan(Date.now())
    }
    // All but the one that never had a token.
    expect(new Set(left.map(({ labels }) => labels['name']))).toEqual(new Set(['contested', 'outage', 'suspended']))
    const file = process.env['DASHBOARD_PICTURE']
    if (file !== undefined) await writeFile(file, await drawDashboard(drawn))
  }

  /** A proxy whose clock, and so its header Date, is ahead of that of the gateway. */
  async function withSkew(gatewayUrl: string, skewMs: number): Promise<string> {
    const server = createServer((incoming, outgoing) => {
      const { headers, method, url } = incoming
      const forwarded = request(`${gatewayUrl}${url}`, { method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, {
          ...answer.headers,
          date: new Date(Date.now() + skewMs).toUTCString(),
        })
        answer.pipe(outgoing)
      })
      forwarded.on('error', () => outgoing.destroy())
      incoming.pipe(forwarded)
    }).listen(0, '127.0.0.1')
    skewed.push(server)
    await once(server, 'listening')
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
})
