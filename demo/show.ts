import type { Simulator } from '../simulator/server.ts'
import { type Clock, sleep } from '../src/lib/clock.ts'
import type { ControlPlane } from '../test/control-plane/control-plane.ts'
import { History, IncidentHistory } from './history.ts'
import { applications, lifetimeMs, namespace, renewalWindowMs, targetNamed, targets, victims } from './plant.ts'
import type { Plant } from './plant-on-cluster.ts'
import { Referee } from './referee.ts'
import { type Incident, type LogKind, playScenario, type Stage } from './scenario.ts'
import type { ApplicationCalls, ConditionSummary, LogEntry, TargetRow } from './screen.ts'
import type { Outcome } from './summary.ts'
import type { Terminal } from './terminal.ts'

export interface ShowOptions {
  readonly cluster: Pick<ControlPlane, 'kubeconfig' | 'kubectl'>
  readonly clock: Clock
  readonly terminal: Terminal
  /** In ms; undefined: until the signal aborts. */
  readonly durationMs: number | undefined
  readonly signal: AbortSignal
}

/** All faults are played once in this time, or in the whole duration where that is shorter. */
const roundMs = 60_000
/** A fault that waits for a renewal may end at most this long after the duration. */
const overtimeMs = 25_000
/** Time for a repair or renewal that is under way at the end. */
const maxEndReadyMs = 5000
/** More than fit on a screen, or come between two frames. */
const maxEntries = 1000
const maxIncidents = 40
const frameEveryMs = 500
const tableEveryMs = 2000

/** Plays the faults on the running operator, samples and draws until the end. */
export class Show {
  readonly #options: ShowOptions
  readonly #gateway: Simulator
  readonly #plant: Plant
  readonly #referee: Referee
  readonly #end = new AbortController()
  /** Aborts on Ctrl-C, on `abort`, and at the end. */
  readonly #signal: AbortSignal
  readonly #incidents = new IncidentHistory(maxIncidents)
  readonly #abortReasons: string[] = []
  readonly #entries = new History<LogEntry>(maxEntries)
  #startAt = 0
  #isGatewayOut = false

  constructor(options: ShowOptions, gateway: Simulator, plant: Plant) {
    this.#options = options
    this.#gateway = gateway
    this.#plant = plant
    this.#signal = AbortSignal.any([options.signal, this.#end.signal])
    this.#referee = new Referee({
      clock: options.clock,
      gateway: gateway.service,
      targets: targets.map(({ name }) => name),
      getTokens: (signal) => plant.tokens(signal),
      onRenewed: (names, leftMs) =>
        this.#log('info', `${names.join(', ')}: renewed with ${(leftMs / 1000).toFixed(1)} s left`),
      onExpired: (name) => this.#log('fault', `${name}: NO VALID TOKEN`),
    })
  }

  /** Ends the demo as failed for this reason. */
  abort(reason: string): void {
    if (this.#signal.aborted) return
    this.#abortReasons.push(reason)
    this.#end.abort(new Error(reason))
  }

  /** Resolves when all resources are Ready. @throws after `maxMs`, or when the demo ends */
  async untilReady(maxMs: number): Promise<void> {
    const { clock } = this.#options
    const until = clock.now() + maxMs
    for (let unready = await this.#plant.notReady(); unready.length > 0; unready = await this.#plant.notReady()) {
      if (clock.now() > until) throw new Error(`not Ready within ${maxMs / 1000} s: ${unready.join(', ')}`)
      await sleep(clock, 100, this.#signal)
    }
  }

  async play(): Promise<Outcome> {
    const { clock, durationMs = Infinity, signal } = this.#options
    this.#startAt = clock.now()
    this.#log('info', 'all resources are Ready')
    const tasks = [this.#referee.watch(this.#signal), this.#draw()].map((task) => this.#guard(task))
    const faults = this.#guard(this.#playRounds())
    await this.#pause(durationMs)
    const isComplete = await Promise.race([faults, this.#pause(overtimeMs).then(() => false)])
    // Ctrl-C has ended the operator and the API server as well.
    const notReady = signal.aborted ? [] : await this.#notReadyAtEnd()
    if (signal.aborted && durationMs !== Infinity) this.#abortReasons.push('interrupted')
    const endAt = clock.now()
    this.#end.abort(new Error('the demo has ended'))
    await Promise.all([...tasks, faults])
    const calls = this.#calls()
    return {
      durationMs: endAt - this.#startAt,
      findings: this.#referee.findings,
      targets: targets.map(({ name }) => ({ name, ...this.#referee.findingsOf(name) })),
      applications: applications.length,
      gets: calls.reduce((sum, { get }) => sum + get, 0),
      refreshes: calls.reduce((sum, { refresh }) => sum + refresh, 0),
      incidents: this.#incidents.incidents,
      omittedIncidents: this.#incidents.omitted,
      isComplete: isComplete || durationMs === Infinity || this.#abortReasons.length > 0,
      notReady,
      abortReasons: this.#abortReasons,
    }
  }

  async #playRounds(): Promise<void> {
    const { clock, durationMs = Infinity } = this.#options
    const rounds = Math.max(1, Math.floor(durationMs / roundMs))
    for (let round = 0; round < rounds; round++) {
      const scenario = {
        clock,
        stage: this.#stage(),
        durationMs: rounds === Infinity ? roundMs : durationMs / rounds,
        renewalWindowMs,
        victims,
        onIncident: (incident: Incident) => this.#incidents.add(incident),
      }
      await playScenario(scenario, this.#signal)
    }
  }

  async #draw(): Promise<void> {
    const { clock, cluster, durationMs, terminal } = this.#options
    let table = { text: '', atMs: -Infinity, conditions: '' }
    while (!this.#signal.aborted) {
      const conditions = await this.#plant.conditions()
      const text = JSON.stringify([...conditions])
      // The output of kubectl must agree with the conditions above it.
      if (clock.now() - table.atMs >= tableEveryMs || table.conditions !== text) {
        const output = await cluster.kubectl(['get', 'enosappcredentials', '--namespace', namespace])
        table = { text: output, atMs: clock.now(), conditions: text }
      }
      const { expired, samples } = this.#referee.findings
      terminal.draw({
        elapsedMs: clock.now() - this.#startAt,
        durationMs,
        lifetimeMs,
        renewalWindowMs,
        targets: this.#targetRows(conditions),
        applications: this.#calls(),
        isGatewayOut: this.#isGatewayOut,
        samples,
        expired,
        kubeconfig: cluster.kubeconfig,
        table: table.text,
        entries: this.#entries.items,
        totalEntries: this.#entries.total,
      })
      await this.#pause(frameEveryMs)
    }
  }

  #targetRows(conditions: ReadonlyMap<string, ConditionSummary>): TargetRow[] {
    return targets.map(({ application, credential, name }) => ({
      name,
      application: application.name,
      ...this.#referee.findingsOf(name),
      condition: conditions.get(credential) ?? { level: 'notReady', text: 'Absent' },
    }))
  }

  #calls(): ApplicationCalls[] {
    const { calls } = this.#gateway
    return applications.map(({ appKey, name }) => {
      const count = (operation: 'get' | 'refresh'): number =>
        calls.filter((call) => call.appKey === appKey && call.operation === operation).length
      return { name, get: count('get'), refresh: count('refresh') }
    })
  }

  #stage(): Stage {
    return {
      overwrite: (target) => this.#plant.overwrite(targetNamed(target)),
      remove: (target) => this.#plant.remove(targetNamed(target)),
      isWhole: async (target, signal) =>
        this.#gateway.service.isValid((await this.#plant.tokens(signal)).get(target) ?? ''),
      setOutage: async (isOut) => {
        await this.#gateway.setOutage(isOut)
        this.#isGatewayOut = isOut
      },
      minLifeMs: () => Math.min(...targets.map(({ name }) => this.#referee.findingsOf(name).lifeLeftMs ?? 0)),
      calls: () => this.#gateway.calls.length,
      excuse: (target) => this.#referee.excuse(target),
      endExcuse: (target) => this.#referee.endExcuse(target),
      log: (kind, text) => this.#log(kind, text),
    }
  }

  async #notReadyAtEnd(): Promise<string[]> {
    try {
      await this.untilReady(maxEndReadyMs)
      return []
    } catch {
      // After an abort its reason is reported; else the resources that are still not Ready are.
      return this.#signal.aborted ? [] : await this.#plant.notReady()
    }
  }

  #log(kind: LogKind, text: string): void {
    this.#entries.add({ atMs: this.#options.clock.now() - this.#startAt, kind, text })
  }

  /**
   * Aborts the demo when the task fails; ignores a rejection after the demo's end.
   * @returns whether the task succeeded
   */
  async #guard(task: Promise<void>): Promise<boolean> {
    try {
      await task
      return true
    } catch (error) {
      this.abort(error instanceof Error ? error.message : 'a part of the demo failed')
      return false
    }
  }

  /** Resolves after `delayMs`, or when the demo ends. */
  async #pause(delayMs: number): Promise<void> {
    await sleep(this.#options.clock, delayMs, this.#signal).catch(() => {
      // The demo has ended: callers check the signal.
    })
  }
}
