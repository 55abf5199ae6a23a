const minuteMs = 60_000

/** A gateway that had no refresh may have got one: one of its applications asks again, this long after a 404. */
const askAgainMs = 60 * minuteMs

/** A 404 so long after another is a new one: whoever is due asks at least every five minutes. */
const forgottenAfterMs = 10 * minuteMs

/** How long a refresh is answered 404 before it is believed: a minute, of tokens that live for hours. */
function doubtMs(lifetimeMs: number): number {
  return Math.min(minuteMs, lifetimeMs / 100)
}

/**
 * Whether a gateway has refresh; some editions answer it with 404. It is known of the gateway, not of the application,
 * so that it is found out once. A 404 may also be an ingress's in the middle of an upgrade, and renewing by get means
 * that a token ends before the next is had: so it takes a second 404 a while later, and even then one application tries
 * again, an hour later at the soonest and with a token that is new.
 */
export class RefreshSupport<K> {
  /** When it was answered 404 for the first time, of those that are in a row, monotonic clock. */
  #missingSince = Number.POSITIVE_INFINITY
  /** When it was answered 404 last, monotonic clock. */
  #missingAt = Number.NEGATIVE_INFINITY
  #isMissing = false
  /** Who is to ask again. */
  #asking: { readonly application: K; readonly until: number } | undefined

  /** It was answered 404, again and again. */
  get isMissing(): boolean {
    return this.#isMissing
  }

  /** Whether this application's token is to be refreshed. */
  isFor(application: K): boolean {
    return !this.#isMissing || this.#asking?.application === application
  }

  /**
   * A refresh was answered 404.
   * @param lifetimeMs of the application's tokens
   * @returns whether it is believed
   */
  reportMissing(lifetimeMs: number, now: number): boolean {
    if (!this.#isMissing && now - this.#missingAt > forgottenAfterMs) this.#missingSince = now
    this.#missingAt = now
    this.#asking = undefined
    this.#isMissing ||= now - this.#missingSince >= doubtMs(lifetimeMs)
    return this.#isMissing
  }

  reportRefreshed(): void {
    this.#missingAt = Number.NEGATIVE_INFINITY
    this.#isMissing = false
    this.#asking = undefined
  }

  /**
   * Get answered an application that would refresh with another token than before: it has all of its life to try that.
   * @param expiresAt of the token. Who has not asked until then does so no more, and another takes over.
   */
  reportNewToken(application: K, expiresAt: number, now: number): void {
    if (!this.#isMissing || now - this.#missingAt < askAgainMs) return
    if (this.#asking === undefined || now >= this.#asking.until) this.#asking = { application, until: expiresAt }
  }

  forget(application: K): void {
    if (this.#asking?.application === application) this.#asking = undefined
  }
}
