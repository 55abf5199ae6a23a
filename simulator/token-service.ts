import { randomBytes } from 'node:crypto'
import { signRequest } from '../src/enos/signature.ts'
import type { Clock } from '../src/lib/clock.ts'
import { Sensitive } from '../src/lib/sensitive.ts'
import { BoundedSet } from './bounded-set.ts'
import { readTokenRequest, type Refusal, statusMessages, type TokenRequest } from './token-request.ts'

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
  /** Life of a new token. Default 7200. */
  readonly lifetimeSeconds?: number
  /** Whether a refresh ends the old token at once. Default false: it stays valid until its own expiry. */
  readonly doesRefreshKillOld?: boolean
  /** Whether a refresh answers another token. Default true; false prolongs the one there is. */
  readonly doesRefreshChangeToken?: boolean
  /** Default true; false answers a refresh with HTTP 404. */
  readonly hasRefresh?: boolean
  /** Names the service in `business`. Default cloud. */
  readonly edition?: 'cloud' | 'edge'
  /** A request's timestamp may be this far off the gateway's clock. Default 5 minutes; 0 takes any. */
  readonly maxSkewMs?: number
  /** How far the gateway's clock is ahead of `clock`'s wall clock. Default 0. */
  readonly clockOffsetMs?: number
  /** How many accepted requests are remembered to refuse their replay. Default 200,000. */
  readonly rememberedRequests?: number
}

/** What a call is answered with. */
export interface ServiceReply {
  readonly httpStatus: number
  readonly json: unknown
}

interface Token {
  readonly value: string
  readonly appKey: string
  /** Steady clock, ms. */
  expiresAt: number
}

interface Application {
  appSecret: Sensitive
  current: Token | undefined
}

/** Tokens that are over are known this long, so that a referee can say when they ended. */
const rememberedTokens = 200_000

/** The token service of EnOS: the rules, without HTTP. */
export class TokenService {
  readonly #options: TokenServiceOptions
  readonly #applications = new Map<string, Application>()
  /** By value. Revoked and killed tokens are not in it. */
  readonly #tokens = new Map<string, Token>()
  readonly #seen: BoundedSet<string>
  readonly lifetimeSeconds: number
  readonly hasRefresh: boolean
  readonly edition: 'cloud' | 'edge'

  constructor(options: TokenServiceOptions) {
    this.#options = options
    this.lifetimeSeconds = options.lifetimeSeconds ?? 7200
    this.hasRefresh = options.hasRefresh ?? true
    this.edition = options.edition ?? 'cloud'
    this.#seen = new BoundedSet(options.rememberedRequests ?? 200_000)
    for (const keys of options.applications) this.addApplication(keys)
  }

  /** @param body the parsed JSON of the request, whatever it is */
  get(body: unknown): ServiceReply {
    const admitted = this.#admit(readTokenRequest(body, []))
    if (typeof admitted === 'number') return this.refusal(admitted)
    const { application, request } = admitted
    // Read once: a new token has all of its lifetime left, not a moment less.
    const now = this.#options.clock.now()
    return this.#success(this.#live(application.current, now) ?? this.#issue(application, request.appKey, now), now)
  }

  /** @param body the parsed JSON of the request, whatever it is */
  refresh(body: unknown): ServiceReply {
    if (!this.hasRefresh) return { httpStatus: 404, json: { error: 'Not Found' } }
    const admitted = this.#admit(readTokenRequest(body, ['accessToken']))
    if (typeof admitted === 'number') return this.refusal(admitted)
    const { application, request } = admitted
    const now = this.#options.clock.now()
    const old = this.#live(this.#tokens.get(request.accessToken), now)
    if (old === undefined) return this.refusal(1203)
    if (old !== application.current) return this.refusal(1204)
    if (this.#options.doesRefreshChangeToken === false) {
      old.expiresAt = this.#expiryFrom(now)
      return this.#success(old, now)
    }
    if (this.#options.doesRefreshKillOld === true) this.#tokens.delete(old.value)
    return this.#success(this.#issue(application, request.appKey, now), now)
  }

  /** The reply with any status but success, also one that the service would not give by itself. */
  refusal(status: number): ServiceReply {
    const messages: Readonly<Record<number, string>> = statusMessages
    return this.#reply(status, messages[status] ?? 'Internal service exception', null)
  }

  /** Whether the gateway would let a call with this token through at this moment. */
  isValid(token: string): boolean {
    return this.#live(this.#tokens.get(token)) !== undefined
  }

  /** When the token ends or ended, on the monotonic clock in ms. Undefined: never issued, revoked, or killed by a refresh. */
  expiresAt(token: string): number | undefined {
    return this.#tokens.get(token)?.expiresAt
  }

  /** The token that get would answer; undefined where it would issue one. */
  currentToken(appKey: string): string | undefined {
    return this.#live(this.#applications.get(appKey)?.current)?.value
  }

  appKeys(): string[] {
    return [...this.#applications.keys()]
  }

  /** Adds an application, or gives the one there is this appSecret; its tokens stay. */
  addApplication({ appKey, appSecret }: ApplicationKeys): void {
    const known = this.#applications.get(appKey)
    if (known === undefined) {
      this.#applications.set(appKey, { appSecret: new Sensitive(appSecret), current: undefined })
    } else {
      known.appSecret = new Sensitive(appSecret)
    }
  }

  /** @throws RangeError when there is no such application */
  setAppSecret(appKey: string, appSecret: string): void {
    this.#known(appKey).appSecret = new Sensitive(appSecret)
  }

  /**
   * Ends every token of the application at once.
   * @throws RangeError when there is no such application
   */
  revoke(appKey: string): void {
    this.#known(appKey).current = undefined
    for (const token of this.#tokens.values()) if (token.appKey === appKey) this.#tokens.delete(token.value)
  }

  /**
   * Removes the application and ends its tokens.
   * @throws RangeError when there is no such application
   */
  removeApplication(appKey: string): void {
    this.revoke(appKey)
    this.#applications.delete(appKey)
  }

  /** Checks who asks; the parameters come first, then the application, its signature, and whether it is a replay. */
  #admit(request: TokenRequest | Refusal): { application: Application; request: TokenRequest } | Refusal {
    if (typeof request === 'number') return request
    const { clock, maxSkewMs = 5 * 60_000, clockOffsetMs = 0 } = this.#options
    const skewMs = Math.abs(request.timestamp - (clock.wall() + clockOffsetMs))
    if (maxSkewMs > 0 && skewMs > maxSkewMs) return 1004

    const appKey = new Sensitive(request.appKey)
    const known = this.#applications.get(request.appKey)
    const derived = known === undefined ? this.#options.appSecretOf?.(request.appKey) : undefined
    const appSecret = known?.appSecret ?? (derived === undefined ? undefined : new Sensitive(derived))
    if (appSecret === undefined) return 1002
    if (request.encryption !== signRequest(appKey, request.timestamp, appSecret)) return 1003

    // Get and refresh share this memory: at the same millisecond they have the same encryption.
    const replay = `${request.encryption} ${request.appKey}`
    if (this.#seen.has(replay)) return 1001
    this.#seen.add(replay)
    // Only who signed rightly is remembered: strangers cannot fill the memory.
    const application = known ?? { appSecret, current: undefined }
    this.#applications.set(request.appKey, application)
    return { application, request }
  }

  #issue(application: Application, appKey: string, now: number): Token {
    const value = `APP_PORTAL_S_${randomBytes(24).toString('base64url')}`
    const token = { value, appKey, expiresAt: this.#expiryFrom(now) }
    application.current = token
    this.#tokens.set(value, token)
    this.#forgetOldTokens()
    return token
  }

  #forgetOldTokens(): void {
    for (const token of this.#tokens.values()) {
      if (this.#tokens.size <= rememberedTokens || this.#live(token) !== undefined) return
      this.#tokens.delete(token.value)
    }
  }

  #expiryFrom(now: number): number {
    return now + this.lifetimeSeconds * 1000
  }

  #live(token: Token | undefined, now = this.#options.clock.now()): Token | undefined {
    return token !== undefined && now < token.expiresAt ? token : undefined
  }

  #known(appKey: string): Application {
    const application = this.#applications.get(appKey)
    if (application === undefined) throw new RangeError('there is no application with this appKey')
    return application
  }

  #success({ value, expiresAt }: Token, now: number): ServiceReply {
    // Whole seconds that are surely left, so 0 in the last one.
    const expire = Math.floor((expiresAt - now) / 1000)
    return this.#reply(0, statusMessages[0], { accessToken: value, expire })
  }

  #reply(status: number, msg: string, data: unknown): ServiceReply {
    const business = this.edition === 'edge' ? 'edge-iam' : 'apim-token-service'
    return { httpStatus: 200, json: { status, msg, business, data } }
  }
}
