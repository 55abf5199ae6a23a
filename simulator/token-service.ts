import type { Clock } from '../src/lib/clock.ts'
import { Sensitive } from '../src/lib/sensitive.ts'
import { BoundedSet } from './bounded-set.ts'
import { encryptionOf } from './signature.ts'
import { parseTokenRequest, type Refusal, statusMessages, type TokenRequest } from './token-request.ts'
import { type Token, TokenStore } from './token-store.ts'

export type Operation = 'get' | 'refresh'

export interface ApplicationKeys {
  readonly appKey: string
  readonly appSecret: string
}

export interface TokenServiceOptions {
  readonly clock: Clock
  readonly applications: readonly ApplicationKeys[]
  /** The appSecret of an appKey that is not among the applications; undefined refuses it with 1002. */
  readonly appSecretOf?: ((appKey: string) => string | undefined) | undefined
  /** Lifetime of a new token. Default 7200. */
  readonly lifetimeSeconds?: number
  /** Whether a refresh ends the old token at once. Default false: it stays valid until its own expiry. */
  readonly doesRefreshKillOld?: boolean
  /** Whether a refresh answers another token. Default true; false prolongs the present one. */
  readonly doesRefreshChangeToken?: boolean
  /** Whether a refresh prolongs at all. Default true; false answers the same token with its unchanged expiry. */
  readonly doesRefreshProlong?: boolean
  /** Default true; false answers a refresh by `missingRefresh`. */
  readonly hasRefresh?: boolean
  /** The answer to a refresh of a gateway that has none. Without it `hasRefresh: false` means `http404`. */
  readonly missingRefresh?: MissingRefresh | undefined
  /** Selects the value of `business` in replies. Default cloud. */
  readonly edition?: 'cloud' | 'edge'
  /** Maximum distance of a request's timestamp from the gateway's clock. Default 5 minutes; 0 accepts any. */
  readonly maxSkewMs?: number
  /** Offset of the gateway's clock from the wall clock of `clock`. Default 0. */
  readonly clockOffsetMs?: number
  /** How many accepted requests are kept to refuse their replay. Default 200,000. */
  readonly maxReplayEntries?: number
  /** Default 1,000,000; a call of one more derived application is answered with 1005. */
  readonly maxApplications?: number
  /** Live and expired ones. Default 1,000,000; where all are live, a call that needs a new one is answered with 1005. */
  readonly maxTokens?: number
}

/** `http404` and `http405` are HTTP statuses, `status404` is `{"status": 404}` with HTTP 200. */
export type MissingRefresh = 'http404' | 'http405' | 'status404'

const missingRefreshReplies: Readonly<Record<MissingRefresh, ServiceReply>> = {
  http404: { httpStatus: 404, json: { error: 'Not Found' } },
  http405: { httpStatus: 405, json: { error: 'Method Not Allowed' } },
  status404: { httpStatus: 200, json: { status: 404, error: 'Not Found' } },
}

/** The reply to one call. */
export interface ServiceReply {
  readonly httpStatus: number
  readonly json: unknown
}

interface Application {
  appSecret: Sensitive
  current: Token | undefined
}

const defaultMaxSkewMs = 5 * 60_000

/** The rules of the EnOS token service, without HTTP. */
export class TokenService {
  readonly #options: TokenServiceOptions
  /** By appKey, at most `maxApplications`. */
  readonly #applications = new Map<string, Application>()
  readonly #maxApplications: number
  /** Without revoked tokens and those that a refresh killed. */
  readonly #tokens: TokenStore
  /** Replay set: `encryption` and appKey of accepted requests, at most `maxReplayEntries`. */
  readonly #seen: BoundedSet<string>
  readonly lifetimeSeconds: number
  readonly #missingRefresh: MissingRefresh | undefined
  readonly edition: 'cloud' | 'edge'
  /** Maximum distance of a timestamp from the gateway's clock; 0 accepts any. */
  readonly maxSkewMs: number

  constructor(options: TokenServiceOptions) {
    this.#options = options
    this.lifetimeSeconds = options.lifetimeSeconds ?? 7200
    this.#missingRefresh = options.missingRefresh ?? (options.hasRefresh === false ? 'http404' : undefined)
    this.edition = options.edition ?? 'cloud'
    this.maxSkewMs = options.maxSkewMs ?? defaultMaxSkewMs
    this.#maxApplications = options.maxApplications ?? 1_000_000
    this.#tokens = new TokenStore(options.maxTokens ?? 1_000_000)
    this.#seen = new BoundedSet(options.maxReplayEntries ?? 200_000)
    for (const keys of options.applications) this.addApplication(keys)
  }

  /** @param body the parsed JSON of the request; undefined where the body is not JSON */
  get(body: unknown): ServiceReply {
    const admitted = this.#admit(parseTokenRequest(body, []))
    if (typeof admitted === 'number') return this.refusal(admitted)
    const { application, request } = admitted
    // One reading for both: a second reading could answer a new token with a second less than its lifetime.
    const now = this.#options.clock.now()
    return this.#answer(this.#live(application.current, now) ?? this.#issue(application, request.appKey, now), now)
  }

  get hasRefresh(): boolean {
    return this.#missingRefresh === undefined
  }

  /**
   * @param body the parsed JSON of the request; undefined where the body is not JSON
   * @param doesProlong false answers the same token with its unchanged expiry
   */
  refresh(body: unknown, doesProlong = this.#options.doesRefreshProlong ?? true): ServiceReply {
    if (this.#missingRefresh !== undefined) return missingRefreshReplies[this.#missingRefresh]
    const admitted = this.#admit(parseTokenRequest(body, ['accessToken']))
    if (typeof admitted === 'number') return this.refusal(admitted)
    const { application, request } = admitted
    const now = this.#options.clock.now()
    const old = this.#live(this.#tokens.get(request.accessToken), now)
    if (old === undefined) return this.refusal(1203)
    if (old !== application.current) return this.refusal(1204)
    if (!doesProlong) return this.#answer(old, now)
    if (this.#options.doesRefreshChangeToken === false) {
      application.current = this.#tokens.prolong(old, this.#expiryFrom(now))
      return this.#answer(application.current, now)
    }
    if (this.#options.doesRefreshKillOld === true) this.#tokens.remove(old)
    return this.#answer(this.#issue(application, request.appKey, now), now)
  }

  /** A reply with any status code but 0, also one that the service itself never answers. */
  refusal(status: number): ServiceReply {
    const messages: Readonly<Record<number, string>> = statusMessages
    return this.#reply(status, messages[status] ?? 'Internal service exception', null)
  }

  /** Whether the gateway accepts this token now. */
  isValid(token: string): boolean {
    return this.#live(this.#tokens.get(token)) !== undefined
  }

  /** Expiry of the token, in ms on the monotonic clock. Undefined: never issued, revoked, or killed by a refresh. */
  expiresAt(token: string): number | undefined {
    return this.#tokens.get(token)?.expiresAt
  }

  /** The token that get would answer; undefined where get would issue a new one. */
  currentToken(appKey: string): string | undefined {
    return this.#live(this.#applications.get(appKey)?.current)?.value
  }

  /** The appSecret of the application that owns this token; undefined for an unknown token. */
  appSecretFor(token: string): Sensitive | undefined {
    const appKey = this.#tokens.get(token)?.appKey
    return appKey === undefined ? undefined : this.#applications.get(appKey)?.appSecret
  }

  appKeys(): string[] {
    return [...this.#applications.keys()]
  }

  /**
   * Adds an application, or changes the appSecret of an existing one, which keeps its tokens.
   * @throws RangeError at `maxApplications`
   */
  addApplication({ appKey, appSecret }: ApplicationKeys): void {
    const known = this.#applications.get(appKey)
    if (known !== undefined) {
      known.appSecret = new Sensitive(appSecret)
    } else if (!this.#add(appKey, { appSecret: new Sensitive(appSecret), current: undefined })) {
      throw new RangeError(`expected at most ${this.#maxApplications} applications`)
    }
  }

  /** @throws RangeError when no application has this appKey */
  setAppSecret(appKey: string, appSecret: string): void {
    this.#known(appKey).appSecret = new Sensitive(appSecret)
  }

  /**
   * Invalidates all tokens of the application.
   * @throws RangeError when no application has this appKey
   */
  revoke(appKey: string): void {
    this.#known(appKey).current = undefined
    this.#tokens.removeAllOf(appKey)
  }

  /**
   * Removes the application and its tokens.
   * @throws RangeError when no application has this appKey
   */
  removeApplication(appKey: string): void {
    this.revoke(appKey)
    this.#applications.delete(appKey)
  }

  /** Checks, in this order: parameters, timestamp, application, signature, replay. */
  #admit(request: TokenRequest | Refusal): { application: Application; request: TokenRequest } | Refusal {
    if (typeof request === 'number') return request
    const { clock, clockOffsetMs = 0 } = this.#options
    const skewMs = Math.abs(request.timestampMs - (clock.wall() + clockOffsetMs))
    if (this.maxSkewMs > 0 && skewMs > this.maxSkewMs) return 1004

    const { appKey, encryption, timestampText } = request
    const known = this.#applications.get(appKey)
    const application = known ?? this.#derive(appKey)
    if (application === undefined) return 1002
    if (encryption !== encryptionOf(appKey, timestampText, application.appSecret.reveal())) return 1003

    // Get and refresh share the replay set: with the same timestamp their encryption is the same.
    const replay = `${encryption} ${appKey}`
    if (this.#seen.has(replay)) return 1001
    this.#seen.add(replay)
    // Added only after the signature was verified: unsigned calls cannot fill the map.
    return known !== undefined || this.#add(appKey, application) ? { application, request } : 1005
  }

  /** @returns undefined where no appSecret can be derived */
  #derive(appKey: string): Application | undefined {
    const appSecret = this.#options.appSecretOf?.(appKey)
    return appSecret === undefined ? undefined : { appSecret: new Sensitive(appSecret), current: undefined }
  }

  /** @returns whether there was room for one more */
  #add(appKey: string, application: Application): boolean {
    if (this.#applications.size >= this.#maxApplications) return false
    this.#applications.set(appKey, application)
    return true
  }

  #issue(application: Application, appKey: string, now: number): Token | undefined {
    const token = this.#tokens.issue(appKey, this.#expiryFrom(now), now)
    application.current = token ?? application.current
    return token
  }

  #expiryFrom(now: number): number {
    return now + this.lifetimeSeconds * 1000
  }

  #live(token: Token | undefined, now = this.#options.clock.now()): Token | undefined {
    return token !== undefined && now < token.expiresAt ? token : undefined
  }

  #known(appKey: string): Application {
    const application = this.#applications.get(appKey)
    if (application === undefined) throw new RangeError('no application has this appKey')
    return application
  }

  /** @param token undefined where there is no room for a new one */
  #answer(token: Token | undefined, now: number): ServiceReply {
    if (token === undefined) return this.refusal(1005)
    const { expiresAt, value } = token
    // Rounded down: never more than the token has left, and 0 in its last second.
    const expire = Math.floor((expiresAt - now) / 1000)
    return this.#reply(0, statusMessages[0], { accessToken: value, expire })
  }

  #reply(status: number, msg: string, data: unknown): ServiceReply {
    const business = this.edition === 'edge' ? 'edge-iam' : 'apim-token-service'
    return { httpStatus: 200, json: { status, msg, business, data } }
  }
}
