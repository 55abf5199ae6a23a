import { fieldsOf, namesOf, plainManager } from '../targets/managed-fields.ts'
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

/** The names of the parts of a Secret that are not as they were written. */
export interface ChangedFields {
  readonly data: readonly string[]
  readonly labels: readonly string[]
  readonly annotations: readonly string[]
}

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
  // A deletion leaves no trace of its writer, who may have been seen before.
  const writer = interference.writer ?? (isOver ? undefined : before.writer)
  return { correctedAt, delayMs, fingerprint, isTokenLost: interference.isTokenLost, writer }
}

/**
 * Whether the writer is known, or has stayed unknown for several corrections: only then is the contest reported, so that one
 * event names the writer.
 */
export function isWriterSettled({ delayMs, writer }: Contest): boolean {
  return writer !== undefined || delayMs > firstDelayMs * 2
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

/**
 * The field manager that made changes to a Secret; where managedFields does not show it, the last one besides ours.
 * Undefined where there is none, or its name is not a plain one.
 */
export function otherWriterOf(
  { metadata: { managedFields = [] } }: Secret,
  changed: ChangedFields,
  ownManagers: ReadonlySet<string>,
): string | undefined {
  const others = managedFields.filter(({ manager = '' }) => !ownManagers.has(manager))
  // Times are in whole seconds: within one, the changed fields show which of several made the change.
  const ofChanges = others.filter(({ fieldsV1 }) => holdsAny(fieldsV1, changed))
  let latest: { readonly manager: string; readonly at: number } | undefined
  for (const { manager = '', time = '' } of ofChanges.length > 0 ? ofChanges : others) {
    const at = Date.parse(time)
    if (Number.isNaN(at) || (latest !== undefined && at < latest.at)) continue
    latest = { manager, at }
  }
  return latest === undefined ? undefined : plainManager(latest.manager)
}

function holdsAny(fields: unknown, { data, labels, annotations }: ChangedFields): boolean {
  const metadata = fieldsOf(fields, 'f:metadata')
  const held = (parent: unknown, name: string, changed: readonly string[]): boolean =>
    namesOf(fieldsOf(parent, name)).some((one) => changed.includes(one))
  return (
    held(fields, 'f:data', data) || held(metadata, 'f:labels', labels) || held(metadata, 'f:annotations', annotations)
  )
}
