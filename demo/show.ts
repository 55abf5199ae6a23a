import { type Clock, sleep } from '../src/lib/clock.ts'
import type { Simulator } from '../simulator/server.ts'
import type { ControlPlane } from '../test/control-plane/control-plane.ts'
import { applications, lifetimeMs, namespace, renewalWindowMs, targetCalled, targets, victims } from './plant.ts'
import type { Plant } from './plant-on-cluster.ts'
import { Referee } from './referee.ts'
import { type HappeningKind, type Incident, playScenario, type Stage } from './scenario.ts'
import type { ApplicationCalls, ConditionSummary, Happening, TargetRow } from './screen.ts'
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

/** All faults are played once in so long, or in a shorter duration. */
const roundMs = 60_000
/** A fault that waits for the next renewal may come to its end so long after the time is up. */
const overtimeMs = 25_000
/** A repair or renewal may be under way in the last moment. */
const lastMomentMs = 5000
const frameEveryMs = 500
const tableEveryMs = 2000

/** The time from when the operator runs to the summary: faults are played, watched and shown. */
export class Show {
  readonly #options: ShowOptions
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

  constructor(options: ShowOptions, gateway: Simulator, plant: Plant) {
    this.#options = options
    this.#gateway = gateway
    this.#plant = plant
    this.#signal = AbortSignal.any([options.signal, this.#end.signal])
    this.#referee = new Referee({
      clock: options.clock,
      gateway: gateway.service,
      targets: targets.map(({ name }) => name),
      read: (signal) => plant.tokens(signal),
      onRenewed: (names, leftMs) =>
        this.#tell('news', `${names.join(', ')}: renewed, with ${(leftMs / 1000).toFixed(1)} s left`),
      onExpired: (name) => this.#tell('fault', `${name}: HOLDS NO VALID TOKEN`),
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

  async play(): Promise<Outcome> {
    const { clock, durationMs = Infinity, signal } = this.#options
    this.#startAt = clock.now()
    this.#tell('news', 'all resources are Ready')
    const tasks = [this.#referee.watch(this.#signal), this.#draw()].map((task) => this.#guard(task))
    const faults = this.#guard(this.#playRounds())
    await this.#pause(durationMs)
    const isComplete = await Promise.race([faults, this.#pause(overtimeMs).then(() => false)])
    // After Ctrl-C nothing is left to be asked: it reached the operator and the API server as well.
    const notReady = signal.aborted ? [] : await this.#notReadyAtEnd()
    if (signal.aborted && durationMs !== Infinity) this.#breakdowns.push('interrupted')
    const endAt = clock.now()
    this.#end.abort(new Error('the demo is over'))
    await Promise.all([...tasks, faults])
    const calls = this.#calls()
    return {
      durationMs: endAt - this.#startAt,
      findings: this.#referee.findings,
      targets: targets.map(({ name }) => ({ name, ...this.#referee.sighting(name) })),
      applications: applications.length,
      gets: calls.reduce((sum, { get }) => sum + get, 0),
      refreshes: calls.reduce((sum, { refresh }) => sum + refresh, 0),
      incidents: this.#incidents,
      isComplete: isComplete || durationMs === Infinity || this.#breakdowns.length > 0,
      notReady,
      breakdowns: this.#breakdowns,
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
        onIncident: (incident: Incident) => this.#incidents.push(incident),
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
      // What kubectl says must not lag behind what is said above it.
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
        targets: this.#rows(conditions),
        applications: this.#calls(),
        isGatewayOut: this.#isGatewayOut,
        samples,
        expired,
        kubeconfig: cluster.kubeconfig,
        table: table.text,
        happenings: this.#happenings,
      })
      await this.#pause(frameEveryMs)
    }
  }

  #rows(conditions: ReadonlyMap<string, ConditionSummary>): TargetRow[] {
    return targets.map(({ application, credential, name }) => ({
      name,
      application: application.name,
      ...this.#referee.sighting(name),
      condition: conditions.get(credential) ?? { level: 'bad', text: 'Absent' },
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
      overwrite: (target) => this.#plant.overwrite(targetCalled(target)),
      remove: (target) => this.#plant.remove(targetCalled(target)),
      isWhole: async (target, signal) =>
        this.#gateway.service.isValid((await this.#plant.tokens(signal)).get(target) ?? ''),
      setOutage: async (isOut) => {
        await this.#gateway.setOutage(isOut)
        this.#isGatewayOut = isOut
      },
      minLifeMs: () => Math.min(...targets.map(({ name }) => this.#referee.sighting(name).lifeLeftMs ?? 0)),
      calls: () => this.#gateway.calls.length,
      excuse: (target) => this.#referee.excuse(target),
      endExcuse: (target) => this.#referee.endExcuse(target),
      tell: (kind, text) => this.#tell(kind, text),
    }
  }

  async #notReadyAtEnd(): Promise<string[]> {
    try {
      await this.untilReady(lastMomentMs)
      return []
    } catch {
      // Too late, or ended by a break-down, which is told already.
      return this.#signal.aborted ? [] : await this.#plant.notReady()
    }
  }

  #tell(kind: HappeningKind, text: string): void {
    this.#happenings.push({ atMs: this.#options.clock.now() - this.#startAt, kind, text })
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
