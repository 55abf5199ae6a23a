import { randomBytes } from 'node:crypto'

export interface Token {
  readonly value: string
  readonly appKey: string
  /** In ms on the monotonic clock. */
  readonly expiresAt: number
}

/** Expired tokens are kept up to this number of tokens, so that a referee can ask when they expired. */
const maxWithExpired = 200_000

/** The tokens of all applications, at most `maxTokens`. Expired ones make room for new ones; live ones are never removed. */
export class TokenStore {
  readonly #maxTokens: number
  /** By value, in order of expiry: all tokens have one lifetime, and a prolonged token moves to the end. */
  readonly #tokens = new Map<string, Token>()

  constructor(maxTokens: number) {
    this.#maxTokens = maxTokens
  }

  get(value: string): Token | undefined {
    return this.#tokens.get(value)
  }

  /** @returns undefined where `maxTokens` are live at `now` */
  issue(appKey: string, expiresAt: number, now: number): Token | undefined {
    this.#removeExpired(now)
    if (this.#tokens.size >= this.#maxTokens) return undefined
    const token = { value: `APP_PORTAL_S_${randomBytes(24).toString('base64url')}`, appKey, expiresAt }
    this.#tokens.set(token.value, token)
    return token
  }

  prolong(token: Token, expiresAt: number): Token {
    const prolonged = { ...token, expiresAt }
    this.#tokens.delete(token.value)
    this.#tokens.set(token.value, prolonged)
    return prolonged
  }

  remove({ value }: Token): void {
    this.#tokens.delete(value)
  }

  removeAllOf(appKey: string): void {
    for (const token of this.#tokens.values()) if (token.appKey === appKey) this.#tokens.delete(token.value)
  }

  #removeExpired(now: number): void {
    const limit = Math.min(maxWithExpired, this.#maxTokens)
    for (const token of this.#tokens.values()) {
      if (this.#tokens.size < limit || now < token.expiresAt) return
      this.#tokens.delete(token.value)
    }
  }
}
