import type { ObjectKey } from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { Log } from '../lib/log.ts'
import type { Application } from './application.ts'
import type { Identity, RecordedToken } from './membership.ts'
import type { RefreshSupport } from './refresh-support.ts'
import type { HeldToken } from './held-token.ts'
import { type AttemptProgress, nextCall } from './renewal-rule.ts'
import { callTimeoutMs, retryDelayMs } from './schedule.ts'
import { fingerprintOf } from '../enos/signature.ts'
import type { Operation } from '../enos/operation.ts'
import type { CallResult, Failure, TokenClient } from '../enos/token-client.ts'

export interface AttemptReport {
  /** That of the attempt's last call. */
  readonly operation: Operation
  readonly failure: Failure | undefined
  /** What it tells of the gateway: that it answers, or the failure, where it may be the gateway's. */
  readonly gateway: 'answers' | 'nothing' | Failure
  /** The application has another token than before, or the same with another expiry. */
  readonly hasNewToken: boolean
}

export interface RenewerOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly client: Pick<TokenClient, 'call'>
  /**
   * Resolves when every resource that holds this token has joined its application, so that a refresh, which may kill
   * the old token, finds all of them. After a restart they have not: nothing was read for them yet.
   */
  readonly summonHolders: (gatewayUrl: string, fingerprint: string, signal: AbortSignal) => Promise<void>
  /** Called whenever the application's token changed, in the middle of an attempt too. */
  readonly onToken: (application: Application) => void
}

/** Get, refresh, get again, refresh, get: no attempt needs more calls. */
export const callLimit = 5
/** `expire` is in whole seconds: two answers for one token may differ by this without meaning anything. */
const expiryToleranceMs = 2000

/** Makes one attempt to renew an application's token: the calls that `nextCall` decides on, and what follows from them. */
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
    const { clock, summonHolders } = this.#options
    const { token: before, lastRenewal } = application
    const isForced = application.isForced(identity, clock.now())
    let attempt: AttemptProgress = {
      method: application.method(refreshSupport.isFor(application), identity),
      isForced,
      heldFingerprint: before?.fingerprint ?? recordOf(application, identity)?.fingerprint,
      answered: undefined,
      answeredRenewalAt: Number.POSITIVE_INFINITY,
      hasRefreshed: false,
      refusedRefreshes: 0,
    }
    if (isForced) {
      application.takeRequests(identity)
      application.lastForcedAt = clock.now()
    }

    let operation: Operation = 'get'
    let failure: Failure | undefined
    let gateway: AttemptReport['gateway'] = 'nothing'
    const report = (): AttemptReport => {
      return { operation, failure, gateway, hasNewToken: application.lastRenewal !== lastRenewal }
    }
    for (let calls = 0; calls < callLimit; calls++) {
      const call = nextCall(attempt, clock.now())
      // Suspended or gone meanwhile: nothing more is sent for it.
      if (call === undefined || identity.members.size === 0) break
      const held = call === 'refresh' ? attempt.answered : undefined
      if (held !== undefined) await summonHolders(application.gatewayUrl, held.fingerprint, signal)
      operation = call
      const result = await this.#call(application, identity, held, signal)
      // What a call does not tell, an earlier one may have.
      const told = signal.aborted ? 'nothing' : tellsOf(result)
      if (told !== 'nothing') gateway = told
      if (result.kind === 'token') {
        const answered = this.#adopt(application, identity, result, call)
        if (call === 'refresh') refreshSupport.reportRefreshed()
        else if (attempt.heldFingerprint !== undefined && attempt.heldFingerprint !== answered.fingerprint) {
          if (application.method(true) === 'Refresh') {
            refreshSupport.reportNewToken(application, answered.expiresAt, clock.now())
          }
          // Somebody renewed or revoked the other token, or it ran out. Who holds it and has not joined since a restart
          // would keep it.
          await summonHolders(application.gatewayUrl, attempt.heldFingerprint, signal)
        }
        attempt = {
          ...attempt,
          answered,
          answeredRenewalAt: application.renewalAt(answered, attempt.method),
          hasRefreshed: call === 'refresh',
        }
        if (call === 'refresh' || clock.now() < attempt.answeredRenewalAt) failure = undefined
      } else if (signal.aborted) {
        // A call that was broken off is no failure, and whoever comes next takes up what was asked for.
        return report()
      } else if (result.kind === 'getAgain') {
        failure = result.failure
        attempt = { ...attempt, answered: undefined, refusedRefreshes: attempt.refusedRefreshes + 1 }
      } else if (result.kind === 'refreshMissing') {
        const isBelieved = refreshSupport.reportMissing(application.maxExpireMs, clock.now())
        failure = isBelieved ? undefined : refreshMissing(application)
        attempt = { ...attempt, method: 'Get' }
      } else {
        failure = result.failure
        break
      }
    }
    application.lastAttemptAt = clock.now()
    identity.lastAttemptAt = clock.now()
    application.handleRequests(identity)
    this.#settle(application, identity, failure)
    return report()
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
    return await client.call(
      {
        gatewayUrl,
        appKey,
        appSecret: identity.appSecret,
        timeoutMs: callTimeoutMs(application.timeoutMs(identity), lifeLeftMs),
        ...(identity.ca === undefined ? {} : { ca: identity.ca }),
        ...(refresh === undefined ? { operation: 'get' } : { operation: 'refresh', token: refresh.token }),
      },
      signal,
    )
  }

  /** Makes what the gateway answered the application's token, proven for this identity. */
  #adopt(
    application: Application,
    identity: Identity,
    { token, expireMs, sentAt }: Extract<CallResult, { kind: 'token' }>,
    operation: Operation,
  ): HeldToken {
    const { clock, log, onToken } = this.#options
    const fingerprint = fingerprintOf(token)
    const expiresAt = sentAt + expireMs
    identity.provenFor = fingerprint
    application.lastAnsweredAt = clock.now()
    application.maxExpireMs = operation === 'refresh' ? expireMs : Math.max(application.maxExpireMs, expireMs)

    const held = application.token
    const isSame = held?.fingerprint === fingerprint
    if (isSame && Math.abs(held.expiresAt - expiresAt) <= expiryToleranceMs) return held

    const wallOffset = clock.wall() - clock.now()
    const recorded = isSame ? held : recordOf(application, identity, fingerprint)
    if (!isSame && recorded !== undefined) application.noteLifetime(recorded)
    const expiresAtWall = wholeSeconds(expiresAt + wallOffset)
    const isAsRecorded = recorded !== undefined && Math.abs(recorded.expiresAtWall - expiresAtWall) <= expiryToleranceMs
    const adopted: HeldToken = {
      token,
      fingerprint,
      expiresAt,
      expiresAtWall: isAsRecorded ? recorded.expiresAtWall : expiresAtWall,
      issuedAtWall: recorded?.issuedAtWall ?? wholeSeconds(clock.wall()),
      lifetimeMs: application.maxExpireMs,
    }
    application.token = adopted
    // A token that the targets hold already was found, not renewed.
    if (!isAsRecorded) {
      application.lastRenewal = { atWall: wholeSeconds(clock.wall()), operation }
      log.info(
        {
          application: application.id,
          ...affected(application.members),
          operation,
          lifeMs: Math.round(expireMs),
        },
        'token received',
      )
    }
    onToken(application)
    return adopted
  }

  #settle(application: Application, identity: Identity, failure: Failure | undefined): void {
    const { clock, log, random } = this.#options
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
      identity.failures,
      lifeLeftMs,
      failure.class === 'userMustAct',
      failure.retryAfterMs,
      random(),
    )
    identity.retryAt = clock.now() + delayMs
    log.warn(
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

/** For a log: one gets from there to an object. */
function affected(members: ReadonlySet<ObjectKey> | ReadonlyMap<ObjectKey, unknown>): {
  readonly credential: ObjectKey | undefined
  readonly members: number
} {
  const [credential] = members.keys()
  return { credential, members: members.size }
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000
}

/** What a member recorded of this token, or of any. */
function recordOf({ members }: Application, identity: Identity, fingerprint?: string): RecordedToken | undefined {
  for (const key of identity.members) {
    const recorded = members.get(key)?.membership.recorded
    if (recorded !== undefined && (fingerprint ?? recorded.fingerprint) === recorded.fingerprint) return recorded
  }
  return undefined
}

function tellsOf(result: CallResult): AttemptReport['gateway'] {
  if (result.kind !== 'failed' || result.failure.class === 'userMustAct') return 'answers'
  return result.failure.isCallerSide === true ? 'nothing' : result.failure
}

/** It is not believed yet. */
function refreshMissing({ gatewayUrl }: Application): Failure {
  const message = `refresh at ${gatewayUrl}: HTTP 404; if it stays so, tokens are renewed by get as they expire`
  return { class: 'retry', reason: 'GatewayError', message }
}
