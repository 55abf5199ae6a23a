import { TokenService } from '../../../simulator/token-service.ts'
import type { Failure } from '../../../src/enos/failure.ts'
import type { Operation } from '../../../src/enos/operation.ts'
import type { CallResult, TokenRequest } from '../../../src/enos/token-client.ts'
import type { Clock } from '../../../src/lib/clock.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'
import { Applications } from '../../../src/tokens/applications.ts'
import type { Membership } from '../../../src/tokens/membership.ts'
import { membership, now } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { clientOf, failure } from '../enos/support.ts'

export type Call = { readonly appKey: string; readonly operation: Operation; readonly at: number }

/** How a gateway answers: well, not at all, or with this failure. */
export type Mood = 'well' | 'refuses' | 'hangs' | Failure

export interface StormOptions {
  readonly lifetimeSeconds?: number
  readonly concurrency?: number
  /** Duration of an answered call. */
  readonly latencyMs?: number
  /** The gateway's time is the wall clock: a step of it is a sleep of this machine, not a correction. */
  readonly isStepSleep?: boolean
}

/** Thousands of applications at one gateway, with the real queue and circuit breaker, on a fake clock. */
export class Storm {
  readonly clock = new FakeClock(now)
  readonly applications: Applications
  readonly service: TokenService
  mood: Mood = 'well'
  /** Moods for single appKeys, before the general one. */
  readonly moods = new Map<string, Mood>()
  calls: Call[] = []
  queueAdds = 0
  maxInFlight = 0
  #inFlight = 0
  #size = 0

  /** A CA with which every call fails on the caller's side. */
  distrusted: string | undefined
  /** False answers every refresh with 404. */
  hasRefresh = true

  constructor({ concurrency = 32, isStepSleep = false, latencyMs = 0, lifetimeSeconds = 7200 }: StormOptions = {}) {
    const { clock } = this
    const wall = (): number => clock.wall()
    const serviceClock: Clock = { now: wall, wall, setTimer: (delayMs, callback) => clock.setTimer(delayMs, callback) }
    this.service = new TokenService({
      clock: isStepSleep ? serviceClock : clock,
      lifetimeSeconds,
      applications: [],
      appSecretOf: (appKey) => `secret-of-${appKey}`,
    })
    const honest = clientOf(clock, () => this.service)
    const answer = async (request: TokenRequest): Promise<CallResult> => {
      if (request.ca !== undefined && request.ca === this.distrusted) {
        return { kind: 'failed', failure: failure({ reason: 'GatewayUnreachable', isCallerSide: true }) }
      }
      if (!this.hasRefresh && request.operation === 'refresh') return { kind: 'refreshMissing' }
      const mood = this.moods.get(request.appKey.reveal()) ?? this.mood
      if (mood === 'refuses') return { kind: 'failed', failure: failure({ reason: 'GatewayUnreachable' }) }
      if (mood === 'hangs') await this.#delay(request.timeoutMs)
      else if (latencyMs > 0) await this.#delay(latencyMs)
      if (mood === 'hangs') return { kind: 'failed', failure: failure({ reason: 'GatewayUnreachable' }) }
      return mood === 'well' ? await honest.call(request) : { kind: 'failed', failure: mood }
    }
    this.applications = new Applications({
      clock,
      random: () => 0.5,
      log: createLogger({ level: 'silent', format: 'json', destination: process.stdout }),
      client: {
        call: async (request) => {
          this.calls.push({ appKey: request.appKey.reveal(), operation: request.operation, at: clock.now() })
          this.maxInFlight = Math.max(this.maxInFlight, ++this.#inFlight)
          const result = await answer(request)
          this.#inFlight--
          return result
        },
      },
      gatewayMaxConcurrency: concurrency,
      summonHolders: () => Promise.resolve(),
      onChange: () => undefined,
      onAttempt: () => undefined,
      queueObserver: {
        onAdd: () => {
          this.queueAdds++
        },
        onRetry: () => undefined,
        onStart: () => undefined,
        onDone: () => undefined,
        onLate: () => undefined,
      },
    })
  }

  /** Joins new applications, each with one member. */
  join(count: number, overrides: Partial<Membership> = {}): void {
    for (let i = 0; i < count; i++) this.rejoin(this.#size++, overrides)
  }

  /** Changes the membership of an application's member. */
  rejoin(index: number, overrides: Partial<Membership>): void {
    const appKey = `app-${index}`
    this.applications.join(
      `ns/${appKey}`,
      membership({ appKey: new Sensitive(appKey), appSecret: new Sensitive(`secret-of-${appKey}`), ...overrides }),
    )
  }

  /** Adds applications in groups, so that the tokens of a group expire `everyMs` after those of the group before. */
  async joinSpread(groups: number, perGroup: number, everyMs: number): Promise<void> {
    for (let group = 0; group < groups; group++) {
      this.join(perGroup)
      await this.clock.advance(everyMs)
    }
  }

  /** Sets the mood, resets the counts and advances the clock. */
  async pass(mood: Mood, ms: number): Promise<Call[]> {
    this.mood = mood
    this.calls = []
    this.queueAdds = 0
    this.maxInFlight = 0
    await this.clock.advance(ms)
    return this.calls
  }

  /** Steps the wall clock ahead, and reports it to the applications. */
  jump(ms: number): void {
    this.clock.stepWall(ms)
    this.applications.onClockJump(ms)
  }

  /** The number of applications without a token that is valid at the gateway. */
  get withoutToken(): number {
    let count = 0
    for (let i = 0; i < this.#size; i++) {
      const token = this.applications.view(`ns/app-${i}`)?.token?.token.reveal()
      if (token === undefined || !this.service.isValid(token)) count++
    }
    return count
  }

  get isCircuitOpen(): boolean {
    return this.applications.gateways().some(({ isCircuitOpen }) => isCircuitOpen)
  }

  async #delay(ms: number): Promise<void> {
    await new Promise<void>((resolve) => void this.clock.setTimer(ms, resolve))
  }
}

/** The maximum of calls in any one second, counted from `fromMs` after the first call. */
export function maxPerSecond(calls: readonly Call[], fromMs = 0): number {
  const [first] = calls
  let most = 0
  let start = 0
  for (let end = 0; end < calls.length; end++) {
    const { at } = calls[end] as Call
    if (first === undefined || at < first.at + fromMs) {
      start = end + 1
      continue
    }
    while (at - (calls[start] as Call).at >= 1000) start++
    most = Math.max(most, end - start + 1)
  }
  return most
}

/** The number in an appKey, in the order of joining. */
export function indexOf({ appKey }: Call): number {
  return Number(appKey.slice('app-'.length))
}
