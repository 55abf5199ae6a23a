import type { Secret } from '../targets/secret.ts'

/** The corrections of one target that another writer changes or deletes again. Times on the monotonic clock, ms. */
export interface Contest {
  /** The last corrections; at most `maxAtOnce`. */
  readonly correctedAt: readonly number[]
  /** How long the next correction waits after the last one; 0 while the target is not contested. */
  readonly delayMs: number
  /** Fingerprint of the token that was last written: another token is written at once. */
  readonly fingerprint: string | undefined
  /** Whether the other writer removed or replaced the token, and not only labels or other keys. */
  readonly isTokenLost: boolean
  /** Field manager of the other writer; undefined where it is not known, as after a deletion. */
  readonly writer: string | undefined
}

/** A change of another writer that a correction undoes. */
export type Interference = Pick<Contest, 'isTokenLost' | 'writer'>

/** So many corrections in a minute are made at once. */
const maxAtOnce = 3
const atOnceWindowMs = 60_000
/** Then a correction waits this long, doubling up to the maximum. */
const firstDelayMs = 2000
const maxDelayMs = 5 * 60_000
/** A contest is over when a correction has stayed for this long. */
const calmMs = 10 * 60_000
/** The token counts as being on a contested target when it has stayed there for this long. */
const stayedMs = 10_000
/** Of a name that another client chose. */
const maxWriterLength = 64

/** A target that was written and has vanished: its creation will be a correction. */
export function contestOfMissing(fingerprint: string | undefined): Contest {
  return { correctedAt: [], delayMs: 0, fingerprint, isTokenLost: true, writer: undefined }
}

/** Notes a correction. */
export function noteCorrection(
  before: Contest | undefined,
  fingerprint: string | undefined,
  interference: Interference,
  now: number,
): Contest {
  const isOver = before === undefined || now - lastAt(before) >= calmMs
  const recent = isOver ? [] : before.correctedAt.filter((at) => now - at < atOnceWindowMs)
  const correctedAt = [...recent, now].slice(-maxAtOnce)
  const isNewlyContested = correctedAt.length === maxAtOnce
  const delayMs =
    !isOver && before.delayMs > 0 ? Math.min(before.delayMs * 2, maxDelayMs) : isNewlyContested ? firstDelayMs : 0
  return { correctedAt, delayMs, fingerprint, ...interference }
}

/** When the next correction may be made; in the past: at once. */
export function nextCorrectionAt(contest: Contest): number {
  return contest.delayMs === 0 ? Number.NEGATIVE_INFINITY : lastAt(contest) + contest.delayMs
}

export function isContested(contest: Contest, now: number): boolean {
  return contest.delayMs > 0 && now - lastAt(contest) < calmMs
}

/** When the token counts as being on the target again, unless it is lost once more. */
export function stayedAt(contest: Contest): number {
  return lastAt(contest) + stayedMs
}

/** When the contest is over, unless the target has to be corrected once more. */
export function calmAt(contest: Contest): number {
  return lastAt(contest) + calmMs
}

function lastAt({ correctedAt }: Contest): number {
  return correctedAt.at(-1) ?? Number.NEGATIVE_INFINITY
}

/** The field manager that wrote a Secret last besides ours; undefined where its name is not a plain one. */
export function otherWriterOf({ metadata }: Secret, ownManagers: ReadonlySet<string>): string | undefined {
  let latest: { readonly manager: string; readonly at: number } | undefined
  for (const { manager = '', time = '' } of metadata.managedFields ?? []) {
    const at = Date.parse(time)
    if (ownManagers.has(manager) || Number.isNaN(at) || (latest !== undefined && at < latest.at)) continue
    latest = { manager, at }
  }
  // A client chooses its name: it goes into messages only where it cannot be mistaken for anything else.
  return latest !== undefined && /^[\w./:-]+$/.test(latest.manager)
    ? latest.manager.slice(0, maxWriterLength)
    : undefined
}
