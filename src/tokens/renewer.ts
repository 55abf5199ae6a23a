import { type Failure, refreshFailureAfterGet, withOddForm } from '../enos/failure.ts'
import type { Operation } from '../enos/operation.ts'
import type { CallResult, TokenClient } from '../enos/token-client.ts'
import type { Clock } from '../lib/clock.ts'
import { clockJumpMs, wallOffsetOf } from '../lib/clock-jump.ts'
import type { Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import { adoptToken, affected, recordOf, type TokenResult } from './adopt-token.ts'
import type { Application } from './application.ts'
import type { GatewayHealth } from './circuit-breaker.ts'
import type { HeldToken } from './held-token.ts'
import type { Identity } from './membership.ts'
import type { RefreshSupport } from './refresh-support.ts'
import { type AttemptProgress, nextCall } from './renewal-rule.ts'
import { callTimeoutMs, retryDelayMs } from './schedule.ts'

export interface AttemptReport {
  /** That of the attempt's last call. */
  readonly operation: Operation
  readonly failure: Failure | undefined
  readonly gatewayHealth: GatewayHealth
  /** The application has another token than before, or the same with another expiry. */
  readonly hasNewToken: boolean
}

/** One attempt under way. */
interface Run {
  readonly application: Application
  readonly identity: Identity
  readonly refreshSupport: RefreshSupport<Application>
  readonly signal: AbortSignal
  progress: AttemptProgress
  operation: Operation
  /** `expire` of the last get. */
  getExpireMs: number
  failure: Failure | undefined
  gatewayHealth: GatewayHealth
}

/** Whether an attempt goes on after a call; `aborted` ends it without an outcome. */
type Next = 'continue' | 'stop' | 'aborted'

export interface RenewerOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly client: Pick<TokenClient, 'call'>
  /**
   * Resolves when every resource that holds this token has joined its application. A refresh may kill the old token,
   * and after a restart resources join only as they are read.
   */
  readonly summonHolders: (gatewayUrl: string, fingerprint: string, signal: AbortSignal) => Promise<void>
  /** Called whenever the application's token changes, also in the middle of an attempt. */
  readonly onToken: (application: Application) => void
}

/** Calls of one attempt: get, refresh, get again, refresh, get. */
export const maxCalls = 5
/** Makes attempts to renew tokens: the calls that `nextCall` decides on, and what follows from their results. */
export class Renewer {
  readonly #options: RenewerOptions

  constructor(options: RenewerOptions) {
    this.#options = options
  }

  async attempt(
    application: Application,
    identity: Identity,
    refreshSupport: RefreshSupport<Application>,
    signal: AbortSignal,
  ): Promise<AttemptReport> {
    const { clock } = this.#options
    const { lastRenewal } = application
    const run: Run = {
      application,
      identity,
      refreshSupport,
      signal,
      progress: this.#begin(application, identity, refreshSupport),
      operation: 'get',
      getExpireMs: 0,
      failure: undefined,
      gatewayHealth: 'unknown',
    }
    let next: Next = 'continue'
    for (let calls = 0; calls < maxCalls && next === 'continue'; calls++) {
      const operation = nextCall(run.progress, clock.now())
      // Without members, because of a suspend or a deletion, no further call is made.
      next = operation === undefined || identity.members.size === 0 ? 'stop' : await this.#step(run, operation)
    }
    // An aborted call is no failure, and the requests that this attempt took stay unhandled.
    if (next !== 'aborted') this.#end(run)
    const { failure, gatewayHealth, operation } = run
    return { operation, failure, gatewayHealth, hasNewToken: application.lastRenewal !== lastRenewal }
  }

  #begin(application: Application, identity: Identity, support: RefreshSupport<Application>): AttemptProgress {
    const now = this.#options.clock.now()
    const isForced = application.isForced(identity, now)
    if (isForced) {
      application.takeRequests(identity)
      application.lastForcedAt = now
    }
    const heldFingerprint = application.token?.fingerprint ?? recordOf(identity)?.fingerprint
    return {
      method: application.method(support.isFor(application), identity),
      isForced,
      heldFingerprint,
      isHeldTokenLost: heldFingerprint === undefined && application.hasHadToken(identity),
      answered: undefined,
      answeredRenewalAt: Number.POSITIVE_INFINITY,
      hasRefreshed: false,
      refusedRefreshes: 0,
    }
  }

  #end({ application, failure, identity }: Run): void {
    const { clock } = this.#options
    application.lastAttemptAt = clock.now()
    identity.lastAttemptAt = clock.now()
    application.handleRequests(identity)
    this.#recordOutcome(application, identity, failure)
  }

  async #step(run: Run, operation: Operation): Promise<Next> {
    const { application, identity, signal } = run
    const refreshed = operation === 'refresh' ? run.progress.answered : undefined
    if (refreshed !== undefined) {
      await this.#options.summonHolders(application.gatewayUrl, refreshed.fingerprint, signal)
    }
    run.operation = operation
    const result = await this.#call(application, identity, refreshed, signal)
    const health = signal.aborted ? 'unknown' : healthOf(result)
    // A call that says nothing about the gateway does not replace what an earlier one said.
    if (health !== 'unknown') run.gatewayHealth = health
    if (result.kind === 'token') return await this.#onToken(run, result)
    if (signal.aborted) return 'aborted'
    switch (result.kind) {
      case 'getAgain':
        return this.#onGetAgain(run, result.failure)
      case 'refreshMissing':
        return this.#onRefreshMissing(run)
      case 'failed':
        return this.#onFailed(run, result.failure)
    }
  }

  async #onToken(run: Run, result: TokenResult): Promise<Next> {
    const { application, progress } = run
    const isRefresh = run.operation === 'refresh'
    const { maxExpireMs } = application
    const hasProlonged = isRefresh && isProlonged(result.expireMs, run.getExpireMs, maxExpireMs)
    application.maxExpireMs = hasProlonged ? result.expireMs : Math.max(maxExpireMs, result.expireMs)
    const answered = adoptToken(this.#options, run, result)
    if (isRefresh) run.refreshSupport.reportRefreshed()
    else await this.#onAnsweredGet(run, answered)
    const answeredRenewalAt = application.renewalAt(answered, progress.method)
    run.progress = { ...progress, answered, answeredRenewalAt, hasRefreshed: isRefresh }
    if (isRefresh) {
      run.failure = hasProlonged ? undefined : notProlonged(application, result.expireMs)
    } else {
      run.getExpireMs = result.expireMs
      if (this.#options.clock.now() < answeredRenewalAt) run.failure = undefined
    }
    return 'continue'
  }

  /** Get may answer another token than the held one: it was renewed or revoked elsewhere, or it has expired. */
  async #onAnsweredGet({ application, progress, refreshSupport, signal }: Run, answered: HeldToken): Promise<void> {
    const { clock, summonHolders } = this.#options
    const { heldFingerprint } = progress
    if (heldFingerprint === undefined || heldFingerprint === answered.fingerprint) return
    if (application.method(true) === 'Refresh') {
      refreshSupport.reportNewToken(application, answered.expiresAt, clock.now())
    }
    // A resource that holds the old token and has not joined since a restart would keep it.
    await summonHolders(application.gatewayUrl, heldFingerprint, signal)
  }

  #onGetAgain(run: Run, failure: Failure): Next {
    const { progress } = run
    run.failure = failure
    run.progress = { ...progress, answered: undefined, refusedRefreshes: progress.refusedRefreshes + 1 }
    return 'continue'
  }

  #onRefreshMissing(run: Run): Next {
    const { application, refreshSupport } = run
    const isMissing = refreshSupport.reportMissing(application.maxExpireMs, this.#options.clock.now())
    run.failure = isMissing ? undefined : refreshMissing(application)
    run.progress = { ...run.progress, method: 'Get' }
    return 'continue'
  }

  #onFailed(run: Run, failure: Failure): Next {
    const { application, identity, operation } = run
    // A refresh always follows a get that worked.
    run.failure =
      operation === 'refresh'
        ? refreshFailureAfterGet(failure)
        : withOddForm(failure, application.appKey, identity.appSecret)
    return 'stop'
  }

  async #call(
    application: Application,
    identity: Identity,
    refresh: HeldToken | undefined,
    signal: AbortSignal,
  ): Promise<CallResult> {
    const { clock, client } = this.#options
    const { gatewayUrl, appKey, token } = application
    const lifeLeftMs = token === undefined ? 0 : token.expiresAt - clock.now()
    const wallOffset = wallOffsetOf(clock)
    const result = await client.call(
      {
        gatewayUrl,
        appKey,
        appSecret: identity.appSecret,
        timeoutMs: callTimeoutMs(application.timeoutMs(identity), lifeLeftMs),
        headers: [...identity.headers],
        ...(identity.ca === undefined ? {} : { ca: identity.ca }),
        ...(identity.tlsServerName === undefined ? {} : { tlsServerName: identity.tlsServerName }),
        ...(refresh === undefined ? { operation: 'get' } : { operation: 'refresh', token: refresh.token }),
      },
      signal,
    )
    // The machine may have slept between the request and its answer.
    const jumpMs = clockJumpMs(wallOffset, wallOffsetOf(clock))
    return result.kind === 'token' ? { ...result, sentAt: result.sentAt - jumpMs } : result
  }

  #recordOutcome(application: Application, identity: Identity, failure: Failure | undefined): void {
    const { clock, log, random } = this.#options
    const known = identity.failure
    identity.failure = failure
    if (failure === undefined) {
      const { failures, members } = identity
      if (failures > 0) log.info({ application: application.id, ...affected(members), failures }, 'renewal recovered')
      identity.failures = 0
      identity.retryAt = Number.NEGATIVE_INFINITY
      return
    }
    identity.failures++
    const lifeLeftMs = application.token === undefined ? 0 : application.token.expiresAt - clock.now()
    const delayMs = retryDelayMs(
      {
        failures: identity.failures,
        lifeLeftMs,
        needsUser: failure.class === 'userMustAct',
        retryAfterMs: failure.retryAfterMs,
      },
      random(),
    )
    identity.retryAt = clock.now() + delayMs
    // The one line at level warn is that of the resource's conditions, once for each problem and not for each retry.
    log[known?.reason === failure.reason ? 'debug' : 'info'](
      {
        application: application.id,
        ...affected(identity.members),
        reason: failure.reason,
        detail: failure.message,
        failures: identity.failures,
        retryInMs: Math.round(delayMs),
      },
      'renewal failed',
    )
  }
}

function healthOf(result: CallResult): GatewayHealth {
  if (result.kind !== 'failed' || result.failure.class === 'userMustAct') return 'answers'
  return result.failure.isCallerSide === true ? 'unknown' : result.failure
}

/**
 * Whether a refresh gave the token more life than get had answered just before. A token that is as good as new has no
 * more to get.
 */
function isProlonged(expireMs: number, getExpireMs: number, lifetimeMs: number): boolean {
  return expireMs > getExpireMs || (expireMs > 0 && expireMs >= lifetimeMs)
}

/** The failure of a refresh that was answered with status 0 and a token without more life. */
function notProlonged({ gatewayUrl }: Application, expireMs: number): Failure {
  const message = `refresh at ${gatewayUrl}: status 0, but the token still expires in ${expireMs / 1000} s; expected a longer life`
  return { class: 'retry', reason: 'UnexpectedReply', message }
}

/** The failure of a refresh while the 404 may still be a passing fault. */
function refreshMissing({ gatewayUrl }: Application): Failure {
  const message = `refresh at ${gatewayUrl}: not found (HTTP 404 or 405); if it stays so, tokens are renewed by get as they expire`
  return { class: 'retry', reason: 'GatewayError', message }
}
