import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { rulesFile } from '../../monitoring/rules.ts'
import { delay, eventually } from '../integration/harness.ts'
import type { OperatorProcess } from '../integration/operator-process.ts'
import { freePort } from '../support/free-port.ts'
import { job } from './plant.ts'
import { findProgram } from './promtool.ts'
import type { Labels } from './timeline.ts'

export const prometheusPrograms = {
  prometheus: findProgram('prometheus', 'PROMETHEUS'),
  alertmanager: findProgram('prometheus-alertmanager', 'ALERTMANAGER'),
}

/**
 * Five minutes become 50 s. A handover of the lease, which takes up to 20 s, still fits into the 30 s that rules bridge.
 */
export const testFactor = 1 / 6

/** Series at the evaluations of a range; times in seconds, UNIX time. */
export interface Series {
  readonly labels: Labels
  readonly times: readonly number[]
  readonly values: readonly number[]
}

/** A notification of Alertmanager, for one alert. */
export interface Notification {
  readonly status: 'firing' | 'resolved'
  readonly labels: Labels
  readonly annotations: Labels
  readonly startsAt: string
}

/** A real Prometheus that scrapes operators, with the shipped rules, and a real Alertmanager. */
export class Monitoring {
  /** Of rules and scrapes: 30 s as shipped. */
  readonly intervalSeconds: number
  /** All so far, in their order. */
  readonly notifications: Notification[] = []
  readonly #directory: string
  readonly #children: ChildProcess[] = []
  readonly #replicas = new Map<string, OperatorProcess>()
  #receiver: Server | undefined
  #url = ''

  private constructor(directory: string, factor: number) {
    this.#directory = directory
    this.intervalSeconds = 30 * factor
  }

  /** @param factor shortens all durations of the rules, and the interval of scrapes */
  static async start(factor: number): Promise<Monitoring> {
    const monitoring = new Monitoring(await mkdtemp(join(tmpdir(), 'monitoring-')), factor)
    try {
      await monitoring.#start(factor)
    } catch (error) {
      await monitoring.stop()
      throw error
    }
    return monitoring
  }

  /** Scrapes a replica from now on, as the pod of this name. */
  async scrape(pod: string, operator: OperatorProcess): Promise<void> {
    this.#replicas.set(pod, operator)
    await this.#writeTargets()
  }

  /** A pod that is gone is no target any more. */
  async forget(pod: string): Promise<void> {
    this.#replicas.delete(pod)
    await this.#writeTargets()
  }

  async query(expression: string, at = Date.now() / 1000): Promise<Series[]> {
    return await this.#get('query', { query: expression, time: String(at) })
  }

  async range(expression: string, from: number, to = Date.now() / 1000): Promise<Series[]> {
    const step = String(this.intervalSeconds)
    return await this.#get('query_range', { query: expression, start: String(from), end: String(to), step })
  }

  /** The alerts that fire now, as `name namespace/name` or `name host`, sorted. */
  async firing(): Promise<string[]> {
    return names(await this.query('ALERTS{alertstate="firing"}'))
  }

  /** The alerts that have fired since a moment. */
  async fired(from: number): Promise<string[]> {
    const firing = 'ALERTS{alertstate="firing"}'
    // The last step of a range may be before the last evaluation.
    return names([...(await this.range(firing, from)), ...(await this.query(firing))])
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      child.kill('SIGTERM')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
    }
    this.#receiver?.close()
    this.#receiver?.closeAllConnections()
    await rm(this.#directory, { recursive: true, force: true })
  }

  async #start(factor: number): Promise<void> {
    const receiver = createServer((request, response) => {
      let body = ''
      request.setEncoding('utf8').on('data', (text: string) => (body += text))
      request.on('end', () => {
        this.notifications.push(...(JSON.parse(body) as { alerts: Notification[] }).alerts)
        response.end()
      })
    })
    this.#receiver = receiver.listen(0, '127.0.0.1')
    await once(receiver, 'listening')
    const [port, alertmanagerPort] = [await freePort(), await freePort()]
    await this.#startAlertmanager(alertmanagerPort, (receiver.address() as AddressInfo).port)
    const interval = `${Math.round(this.intervalSeconds * 1000)}ms`
    const config = {
      global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
      rule_files: ['rules.yaml'],
      alerting: { alertmanagers: [{ static_configs: [{ targets: [`127.0.0.1:${alertmanagerPort}`] }] }] },
      scrape_configs: [{ job_name: job, file_sd_configs: [{ files: ['targets.json'], refresh_interval: '1s' }] }],
    }
    await this.#writeTargets()
    await writeFile(join(this.#directory, 'prometheus.yaml'), stringify(config))
    await writeFile(join(this.#directory, 'rules.yaml'), stringify(rulesFile(factor)))
    this.#url = `http://127.0.0.1:${port}`
    this.#spawn(prometheusPrograms.prometheus ?? 'prometheus', [
      '--config.file=prometheus.yaml',
      '--storage.tsdb.path=data',
      '--rules.alert.resend-delay=1s',
      `--web.listen-address=127.0.0.1:${port}`,
    ])
    await this.#isReady(`${this.#url}/-/ready`)
  }

  async #startAlertmanager(port: number, receiverPort: number): Promise<void> {
    const config = {
      route: { receiver: 'test', group_by: ['...'], group_wait: '1s', group_interval: '1s', repeat_interval: '1h' },
      receivers: [{ name: 'test', webhook_configs: [{ url: `http://127.0.0.1:${receiverPort}` }] }],
    }
    await writeFile(join(this.#directory, 'alertmanager.yaml'), stringify(config))
    this.#spawn(prometheusPrograms.alertmanager ?? 'prometheus-alertmanager', [
      '--config.file=alertmanager.yaml',
      '--storage.path=alertmanager',
      '--cluster.listen-address=',
      `--web.listen-address=127.0.0.1:${port}`,
    ])
    await this.#isReady(`http://127.0.0.1:${port}/-/ready`)
  }

  #spawn(program: string, args: readonly string[]): void {
    this.#children.push(spawn(program, args, { cwd: this.#directory, stdio: 'ignore' }))
  }

  async #isReady(url: string): Promise<void> {
    await eventually(async () => {
      const { status } = await fetch(url)
      if (status !== 200) throw new Error(`${url}: HTTP ${status}`)
    }, 30_000)
  }

  /** Prometheus reads the file anew when it changes; it must never see half of one. */
  async #writeTargets(): Promise<void> {
    const targets = [...this.#replicas].map(([pod, operator]) => {
      const port = operator.log().find(({ serves }) => serves === 'metrics')?.port
      return { targets: [`127.0.0.1:${port}`], labels: { namespace: 'enos-system', pod } }
    })
    const file = join(this.#directory, 'targets.json')
    await writeFile(`${file}.new`, JSON.stringify(targets))
    await rename(`${file}.new`, file)
  }

  async #get(path: string, parameters: Readonly<Record<string, string>>): Promise<Series[]> {
    const response = await fetch(`${this.#url}/api/v1/${path}`, {
      method: 'POST',
      body: new URLSearchParams(parameters),
    })
    const answer = (await response.json()) as {
      status: string
      error?: string
      data: { result: { metric: Labels; value?: [number, string]; values?: [number, string][] }[] }
    }
    if (answer.status !== 'success') throw new Error(`${parameters['query']}: ${answer.error}`)
    return answer.data.result.map(({ metric, value, values = value === undefined ? [] : [value] }) => ({
      labels: metric,
      times: values.map(([at]) => at),
      values: values.map(([, text]) => Number(text)),
    }))
  }
}

/** An alert by its name and what it is about. */
export function subjectOf({ alertname, code, host, name, namespace, resource }: Labels): string {
  const credential = name === undefined || namespace === 'enos-system' ? undefined : name
  return [alertname, credential ?? host ?? resource ?? code].filter((part) => part !== undefined).join(' ')
}

function names(series: readonly Series[]): string[] {
  return [...new Set(series.map(({ labels }) => subjectOf(labels)))].toSorted()
}

export { delay }
