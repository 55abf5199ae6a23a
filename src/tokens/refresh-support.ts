const minuteMs = 60_000

/** A gateway may get refresh later: one of its applications probes for it, this long after the last 404. */
const probeAfterMs = 60 * minuteMs

/** A 404 so long after another begins a new series: an application that is due refreshes at least every five minutes. */
const seriesGapMs = 10 * minuteMs

/** How long a series of 404 lasts before it counts: a minute, with tokens that live for hours. */
function minSeriesMs(lifetimeMs: number): number {
  return Math.min(minuteMs, lifetimeMs / 100)
}

/**
 * Whether a gateway has refresh; some editions answer it with 404 (or 405). This is state of the gateway, not of an
 * application, so that it is found out once. A 404 may also come from an ingress during an upgrade, and renewal by get
 * means that a token expires before the next one is there. So it takes a second 404 after a while, and even then one
 * application probes for refresh, an hour later at the earliest and with a new token.
 */
export class RefreshSupport<K> {
  /** The first 404 of the present series, monotonic clock. */
  #missingSince = Number.POSITIVE_INFINITY
  /** The last 404, monotonic clock. */
  #missingAt = Number.NEGATIVE_INFINITY
  #isMissing = false
  /** The application that probes for refresh, until its token expires. */
  #probing: { readonly application: K; readonly until: number } | undefined

  /** The gateway has no refresh, after a series of 404. */
  get isMissing(): boolean {
    return this.#isMissing
  }

  /** Whether this application's token is renewed by refresh. */
  isFor(application: K): boolean {
    return !this.#isMissing || this.#probing?.application === application
  }

  /**
   * Takes a 404 to a refresh.
   * @param lifetimeMs of the application's tokens
   * @returns whether it counts: the gateway has no refresh
   */
  reportMissing(lifetimeMs: number, now: number): boolean {
    if (!this.#isMissing && now - this.#missingAt > seriesGapMs) this.#missingSince = now
    this.#missingAt = now
    this.#probing = undefined
    this.#isMissing ||= now - this.#missingSince >= minSeriesMs(lifetimeMs)
    return this.#isMissing
  }

  reportRefreshed(): void {
    this.#missingAt = Number.NEGATIVE_INFINITY
    this.#isMissing = false
    this.#probing = undefined
  }

  /**
   * Get answered a new token to an application that wants refresh. It may probe for the life of that token.
   * @param expiresAt of the token; an application that has not probed until then is replaced by another
   */
  reportNewToken(application: K, expiresAt: number, now: number): void {
    if (!this.#isMissing || now - this.#missingAt < probeAfterMs) return
    if (this.#probing === undefined || now >= this.#probing.until) this.#probing = { application, until: expiresAt }
  }

  /** Drops an application that no longer exists. */
  remove(application: K): void {
    if (this.#probing?.application === application) this.#probing = undefined
  }
}
