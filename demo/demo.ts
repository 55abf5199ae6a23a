import { connect } from '../src/kubernetes/connect.ts'
import { type Clock, sleep } from '../src/lib/clock.ts'
import { type Simulator, startSimulator } from '../simulator/server.ts'
import type { Cluster } from '../test/control-plane/cluster.ts'
import { createPlant, Plant } from './plant-on-cluster.ts'
import { Operator } from './operator.ts'
import {
  applications,
  lifetimeMs,
  namespace,
  renewalWindowMs,
  solarFarm,
  type Target,
  targets,
  windFarm,
  windReports,
} from './plant.ts'
import { Referee } from './referee.ts'
import { type Incident, playScenario, type Stage } from './scenario.ts'
import type { Happening, TargetRow } from './screen.ts'
import { failuresOf, renderSummary } from './summary.ts'
import type { Terminal } from './terminal.ts'

export interface DemoOptions {
  readonly cluster: Pick<Cluster, 'kubeconfig' | 'operatorKubeconfig' | 'kubectl'>
  readonly clock: Clock
  readonly terminal: Terminal
  /** Counted from when all is Ready, in ms; undefined: until the signal aborts. */
  readonly durationMs: number | undefined
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal
}

/** How long one round of faults takes where no end is given. */
const roundMs = 60_000
const settleLimitMs = 30_000
/** A fault that waits for the next renewal may come to its end so long after the time is up. */
const overtimeMs = 25_000
const tableEveryMs = 2000

/**
 * Sets all up, plays, and takes all down.
 * @returns whether it went as it should
 */
export async function runDemo(options: DemoOptions): Promise<boolean> {
  const { clock, cluster, terminal } = options
  await using cleanup = new AsyncDisposableStack()
  cleanup.defer(() => terminal.end())
  const gateway = await startSimulator({ clock, applications, lifetimeSeconds: lifetimeMs / 1000 })
  cleanup.defer(() => gateway.close())
  const connection = connect({
    kubeconfig: { flag: cluster.kubeconfig, environment: {} },
    clock,
    userAgent: 'enos-demo',
    fieldManager: 'enos-demo',
  })
  cleanup.defer(() => connection.close())

  const show = new Show(options, gateway, new Plant(connection.client))
  terminal.say('starting the operator as its service account')
  const operator = new Operator(cluster.operatorKubeconfig, (reason) => show.breakDown(reason))
  cleanup.defer(() => operator.stop())
  await createPlant(cluster.kubectl, gateway.url)
  await show.untilReady(settleLimitMs)
  const outcome = await show.play()

  terminal.end()
  terminal.say(`\n${renderSummary(outcome)}`)
  return failuresOf(outcome).length === 0
}

/** The time from when the operator runs to the summary. */
class Show {
  readonly #options: DemoOptions
  readonly #gateway: Simulator
  readonly #plant: Plant
  readonly #referee: Referee
  readonly #end = new AbortController()
  /** Aborts on Ctrl-C, on a break-down, and at the end. */
  readonly #signal: AbortSignal
  readonly #incidents: Incident[] = []
  readonly #breakdowns: string[] = []
  readonly #happenings: Happening[] = []
  #startAt = 0
  #isGatewayOut = false
  #readiness: ReadonlyMap<string, string> = new Map()
  #table = ''

  constructor(options: DemoOptions, gateway: Simulator, plant: Plant) {
    this.#options = options
    this.#gateway = gateway
    this.#plant = plant
    this.#signal = AbortSignal.any([options.signal, this.#end.signal])
    this.#referee = new Referee({
      clock: options.clock,
      gateway: gateway.service,
      targets: targets.map(({ name }) => name),
      read: (signal) => plant.tokens(signal),
      onRenewed: (names, lifeLeftMs) =>
        this.#tell(`${names.join(', ')}: renewed, ${(lifeLeftMs / 1000).toFixed(1)} s before the old token's end`),
    })
  }

  /** Something that the demo needs is gone: it ends, and says why. */
  breakDown(reason: string): void {
    if (this.#signal.aborted) return
    this.#breakdowns.push(reason)
    this.#end.abort(new Error(reason))
  }

  /** Waits until all resources are Ready. @throws when they are not within the limit, or when the demo ends */
  async untilReady(limitMs: number): Promise<void> {
    const { clock } = this.#options
    const until = clock.now() + limitMs
    for (let unready = await this.#plant.notReady(); unready.length > 0; unready = await this.#plant.notReady()) {
      if (clock.now() > until) throw new Error(`not Ready within ${limitMs / 1000} s: ${unready.join(', ')}`)
      await sleep(clock, 100, this.#signal)
    }
  }

  async play(): Promise<Parameters<typeof renderSummary>[0]> {
    const { clock, durationMs = Infinity, signal } = this.#options
    this.#startAt = clock.now()
    this.#tell('all resources are Ready')
    const tasks = [this.#referee.watch(this.#signal), this.#draw()].map((task) => this.#guard(task))
    const faults = this.#guard(this.#playFaults())
    await this.#pause(durationMs)
    const isComplete = await Promise.race([faults, this.#pause(overtimeMs).then(() => false)])
    // After Ctrl-C nothing is left to be asked: it reached the operator and the API server as well.
    const notReady = signal.aborted ? [] : await this.#notReadyAtEnd()
    if (signal.aborted && durationMs !== Infinity) this.#breakdowns.push('interrupted')
    this.#end.abort(new Error('the demo is over'))
    await Promise.all([...tasks, faults])
    return {
      findings: this.#referee.findings,
      renewals: this.#referee.renewals,
      gets: this.#count('get'),
      refreshes: this.#count('refresh'),
      incidents: this.#incidents,
      isComplete: isComplete || durationMs === Infinity || this.#breakdowns.length > 0,
      notReady,
      breakdowns: this.#breakdowns,
    }
  }

  async #playFaults(): Promise<void> {
    const { clock, durationMs } = this.#options
    const scenario = {
      clock,
      stage: this.#stage(),
      durationMs: durationMs ?? roundMs,
      renewalWindowMs,
      victims: [windFarm.name, solarFarm.name, windReports.name] as const,
      onIncident: (incident: Incident) => this.#incidents.push(incident),
    }
    await playScenario(scenario, this.#signal)
    while (durationMs === undefined) await playScenario(scenario, this.#signal)
  }

  async #draw(): Promise<void> {
    const { clock, cluster, terminal } = this.#options
    let tableAt = -Infinity
    while (!this.#signal.aborted) {
      this.#readiness = await this.#plant.readiness()
      if (clock.now() - tableAt >= tableEveryMs) {
        tableAt = clock.now()
        this.#table = await cluster.kubectl(['get', 'enosappcredentials', '--namespace', namespace])
      }
      terminal.draw({
        elapsedMs: clock.now() - this.#startAt,
        durationMs: this.#options.durationMs,
        lifetimeMs,
        renewalWindowMs,
        targets: targets.map((target) => this.#row(target)),
        isGatewayOut: this.#isGatewayOut,
        samples: this.#referee.findings.samples,
        expired: this.#referee.findings.expired,
        table: this.#table,
        happenings: this.#happenings,
      })
      await this.#pause(terminal.frameEveryMs)
    }
  }

  #row({ application, credential, name }: Target): TargetRow {
    return {
      name,
      application: application.name,
      ...this.#referee.sighting(name),
      gets: this.#count('get', application.appKey),
      refreshes: this.#count('refresh', application.appKey),
      ready: this.#readiness.get(credential) ?? 'Unknown',
    }
  }

  #stage(): Stage {
    const find = (name: string): Target => {
      const target = targets.find((one) => one.name === name)
      if (target === undefined) throw new RangeError(`no target is called ${name}`)
      return target
    }
    return {
      overwrite: (target) => this.#plant.overwrite(find(target)),
      remove: (target) => this.#plant.remove(find(target)),
      isWhole: async (target, signal) =>
        this.#gateway.service.isValid((await this.#plant.token(find(target), signal)) ?? ''),
      setOutage: async (isOut) => {
        await this.#gateway.setOutage(isOut)
        this.#isGatewayOut = isOut
      },
      shortestLifeMs: () => Math.min(...targets.map(({ name }) => this.#referee.sighting(name).lifeLeftMs ?? 0)),
      calls: () => this.#gateway.calls.length,
      spoilt: (target) => this.#referee.spoilt(target),
      repaired: (target) => this.#referee.repaired(target),
      tell: (text) => this.#tell(text),
    }
  }

  /** A repair or renewal may be under way in the last moment. */
  async #notReadyAtEnd(): Promise<string[]> {
    try {
      await this.untilReady(5000)
      return []
    } catch {
      // Too late, or ended by a break-down, which is told already.
      return this.#signal.aborted ? [] : await this.#plant.notReady()
    }
  }

  #count(operation: 'get' | 'refresh', appKey?: string): number {
    const calls = this.#gateway.calls.filter((call) => call.operation === operation)
    return calls.filter((call) => appKey === undefined || call.appKey === appKey).length
  }

  #tell(text: string): void {
    this.#happenings.push({ atMs: this.#options.clock.now() - this.#startAt, text })
  }

  /** A task that fails ends the demo; one that is cut off by its end does not. @returns whether it came to its own end */
  async #guard(task: Promise<void>): Promise<boolean> {
    try {
      await task
      return true
    } catch (error) {
      this.breakDown(error instanceof Error ? error.message : 'a part of the demo failed')
      return false
    }
  }

  /** Resolves after so long, or when the demo ends. */
  async #pause(delayMs: number): Promise<void> {
    await sleep(this.#options.clock, delayMs, this.#signal).catch(() => {
      // Ended: whoever waits looks at the signal.
    })
  }
}
