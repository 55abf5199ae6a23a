import { parseStatus } from '../api/v1alpha1/credential.ts'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import { formatDuration } from '../lib/duration.ts'
import {
  age,
  type CredentialObject,
  isExpired,
  overdueAfterMs,
  type StatusProblem,
  statusProblems,
} from './status-problems.ts'
import { printable, renderTable } from './table.ts'

/** One resource as `status` shows it. */
export interface StatusRow {
  readonly namespace: string
  readonly name: string
  /** The condition Ready; False also if the token has expired by the clock. */
  readonly ready: 'True' | 'False' | 'Unknown'
  /** The condition RenewalHealthy: whether the last attempt worked. */
  readonly renewalHealthy: 'True' | 'False' | 'Unknown'
  /** Seconds; negative: expired; null: no token. */
  readonly expiresInSeconds: number | null
  /** Seconds; negative: overdue; null: none planned. */
  readonly renewsInSeconds: number | null
  /** Seconds since the token on the targets was first received; null: no token. */
  readonly tokenAgeSeconds: number | null
  /** RFC 3339; null: never. */
  readonly lastRenewalAt: string | null
  readonly lastRenewalMethod: 'get' | 'refresh' | null
  readonly targets: readonly string[]
  /** Names of the targets of which no template uses the token. */
  readonly targetsWithoutToken: readonly string[]
  /** Of the first problem, else of the condition RenewalHealthy. */
  readonly reason: string
  /** Of the first problem, else of RenewalHealthy where its reason is not Synced; empty if there is neither. */
  readonly message: string
  readonly problems: readonly StatusProblem[]
}

/** @param nowWall ms @returns those that are not ready first, each group by expiry */
export function statusRows(objects: readonly CredentialObject[], nowWall: number): StatusRow[] {
  return objects
    .map((object) => statusRow(object, nowWall))
    .sort(
      (a, b) =>
        Number(a.ready === 'True') - Number(b.ready === 'True') ||
        deadline(a) - deadline(b) ||
        `${a.namespace}/${a.name}`.localeCompare(`${b.namespace}/${b.name}`),
    )
}

/** @param nowWall ms */
export function renderStatus(rows: readonly StatusRow[], nowWall: number): string {
  const table = renderTable(
    ['NAMESPACE', 'NAME', 'READY', 'EXPIRES IN', 'RENEWS IN', 'TOKEN AGE', 'LAST RENEWAL', 'TARGETS', 'REASON'],
    rows.map((row) => [
      row.namespace,
      row.name,
      row.ready,
      expiresIn(row.expiresInSeconds),
      renewsIn(row.renewsInSeconds),
      row.tokenAgeSeconds === null ? '-' : formatDuration(row.tokenAgeSeconds * 1000),
      lastRenewal(row, nowWall),
      row.targets.map((name) => (row.targetsWithoutToken.includes(name) ? `${name} (no token)` : name)).join(','),
      row.problems.length === 0 ? row.reason : row.problems.map(({ reason }) => reason).join(','),
    ]),
  )
  const lines = rows.flatMap(({ message: note, name, namespace, problems, reason: noted }) =>
    (problems.length > 0 || note === '' ? problems : [{ reason: noted, message: note }]).map(
      ({ message, reason }) => `${printable(`${namespace}/${name}: ${reason}: ${message}`)}\n`,
    ),
  )
  return [table, ...(lines.length === 0 ? [] : [lines.join('')]), `${summaryOf(rows)}\n`].join('\n')
}

export function summaryOf(rows: readonly StatusRow[]): string {
  const ready = rows.filter((row) => row.ready === 'True').length
  const expired = rows.filter(({ expiresInSeconds }) => expiresInSeconds !== null && expiresInSeconds <= 0).length
  return `${ready} of ${rows.length} ready${expired === 0 ? '' : `, ${expired} expired`}`
}

/** @param nowWall ms */
export function statusRow(object: CredentialObject, nowWall: number): StatusRow {
  const { metadata, spec } = object
  const status = parseStatus(object.status)
  const condition = (type: string) => status.conditions.find((one) => one.type === type)
  const [ready, healthy] = [condition('Ready'), condition('RenewalHealthy')]
  const problems = statusProblems(object, nowWall)
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    ready: readyByClock(status, ready?.status, nowWall),
    renewalHealthy: healthy?.status ?? 'Unknown',
    ...timesOf(status, spec?.suspend === true, nowWall),
    targets: targetsOf(spec?.targets).map(nameOf),
    targetsWithoutToken: targetsOf(spec?.targets).filter(isWithoutToken).map(nameOf),
    ...(problems[0] ?? noteOf(healthy ?? ready)),
    problems,
  }
}

/** What to know of a resource without a problem. */
function noteOf(condition: StatusProblem | undefined): StatusProblem {
  const { message = '', reason = '' } = condition ?? {}
  return { reason, message: reason === 'Synced' ? '' : message }
}

function readyByClock(
  status: CredentialStatus,
  ready: StatusRow['ready'] | undefined,
  nowWall: number,
): StatusRow['ready'] {
  return ready === 'True' && isExpired(status, nowWall) ? 'False' : (ready ?? 'Unknown')
}

function timesOf(
  { expiresAt, issuedAt, lastRenewalAt, lastRenewalMethod, nextRenewalAt }: CredentialStatus,
  isSuspended: boolean,
  nowWall: number,
) {
  const secondsUntil = (time: string | undefined): number | null =>
    time === undefined ? null : Math.round((Date.parse(time) - nowWall) / 1000)
  const issuedIn = secondsUntil(issuedAt)
  return {
    expiresInSeconds: secondsUntil(expiresAt),
    renewsInSeconds: isSuspended ? null : secondsUntil(nextRenewalAt),
    // At least 0: the operator's clock may be ahead of this one.
    tokenAgeSeconds: issuedIn === null ? null : Math.max(0, -issuedIn),
    lastRenewalAt: lastRenewalAt ?? null,
    lastRenewalMethod: lastRenewalMethod ?? null,
  }
}

/** An older CRD may have let anything in. */
function targetsOf(targets: unknown): { readonly name?: unknown; readonly data?: unknown }[] {
  if (!Array.isArray(targets)) return []
  return (targets as unknown[]).map((target) => (typeof target === 'object' && target !== null ? target : {}))
}

function nameOf({ name }: { readonly name?: unknown }): string {
  return typeof name === 'string' ? name : ''
}

/** By the text of the templates: to compile those of thousands of resources would take seconds. */
function isWithoutToken({ data }: { readonly data?: unknown }): boolean {
  if (typeof data !== 'object' || data === null) return false
  return Object.values(data).every((template) => typeof template === 'string' && !/\baccessToken\b/.test(template))
}

/** A resource without a token comes first. */
function deadline({ expiresInSeconds }: StatusRow): number {
  return expiresInSeconds ?? Number.MIN_SAFE_INTEGER
}

export function expiresIn(seconds: number | null): string {
  if (seconds === null) return '-'
  return seconds > 0 ? formatDuration(seconds * 1000) : `expired ${formatDuration(-seconds * 1000)} ago`
}

export function renewsIn(seconds: number | null): string {
  if (seconds === null) return '-'
  if (seconds > 0) return formatDuration(seconds * 1000)
  return -seconds * 1000 > overdueAfterMs ? `overdue by ${formatDuration(-seconds * 1000)}` : 'now'
}

function lastRenewal({ lastRenewalAt, lastRenewalMethod }: StatusRow, nowWall: number): string {
  if (lastRenewalAt === null) return '-'
  const ago = `${age(Date.parse(lastRenewalAt), nowWall)} ago`
  return lastRenewalMethod === null ? ago : `${ago} by ${lastRenewalMethod}`
}
