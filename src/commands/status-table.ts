import type { Condition } from '../api/v1alpha1/conditions.ts'
import { parseStatus } from '../api/v1alpha1/credential.ts'
import type { KubernetesObject } from '../kubernetes/types.ts'
import { formatDuration } from '../lib/duration.ts'
import { printable, renderTable } from './table.ts'

export interface CredentialObject extends KubernetesObject {
  readonly spec?: { readonly targets?: readonly { readonly name?: string }[]; readonly suspend?: boolean }
  readonly status?: unknown
}

/** One resource as `status` shows it. */
export interface StatusRow {
  readonly namespace: string
  readonly name: string
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
  /** Of the first of Ready, RenewalHealthy and Propagated that reports a problem. */
  readonly reason: string
  /** The message of that condition; empty if there is no problem. */
  readonly message: string
}

/** @param nowWall ms @returns those that are not ready first, then by the time left */
export function statusRows(objects: readonly CredentialObject[], nowWall: number): StatusRow[] {
  return objects
    .map((object) => rowOf(object, nowWall))
    .sort((a, b) => urgency(a) - urgency(b) || `${a.namespace}/${a.name}`.localeCompare(`${b.namespace}/${b.name}`))
}

/** @param nowWall ms */
export function renderStatus(rows: readonly StatusRow[], nowWall: number): string {
  if (rows.length === 0) return 'No EnosAppCredentials found.\n'
  const table = renderTable(
    ['NAMESPACE', 'NAME', 'READY', 'EXPIRES IN', 'RENEWS IN', 'TOKEN AGE', 'LAST RENEWAL', 'TARGETS', 'REASON'],
    rows.map((row) => [
      row.namespace,
      row.name,
      row.ready,
      timeLeft(row.expiresInSeconds, 'expired'),
      timeLeft(row.renewsInSeconds, 'now'),
      row.tokenAgeSeconds === null ? '-' : age(row.tokenAgeSeconds),
      lastRenewal(row, nowWall),
      row.targets.join(','),
      row.reason,
    ]),
  )
  const messages = rows.filter(({ message }) => message !== '')
  const messageLines = messages
    .map(({ message, name, namespace }) => printable(`${namespace}/${name}: ${message}`) + '\n')
    .join('')
  return `${table}\n${messageLines === '' ? '' : `${messageLines}\n`}${summaryOf(rows)}\n`
}

function summaryOf(rows: readonly StatusRow[]): string {
  const ready = rows.filter((row) => row.ready === 'True').length
  const expired = rows.filter(({ expiresInSeconds }) => expiresInSeconds !== null && expiresInSeconds <= 0).length
  return `${ready} of ${rows.length} ready${expired === 0 ? '' : `, ${expired} expired`}`
}

function rowOf({ metadata, spec, status: written }: CredentialObject, nowWall: number): StatusRow {
  const status = parseStatus(written)
  const condition = (type: string) => status.conditions.find((one) => one.type === type)
  const ready = condition('Ready')
  const healthy = condition('RenewalHealthy')
  const problem = firstProblem(ready, healthy, condition('Propagated'))
  const secondsUntil = (time: string | undefined): number | null =>
    time === undefined ? null : Math.round((Date.parse(time) - nowWall) / 1000)
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    ready: ready?.status ?? 'Unknown',
    renewalHealthy: healthy?.status ?? 'Unknown',
    expiresInSeconds: secondsUntil(status.expiresAt),
    renewsInSeconds: spec?.suspend === true ? null : secondsUntil(status.nextRenewalAt),
    tokenAgeSeconds: status.issuedAt === undefined ? null : secondsSince(status.issuedAt, nowWall),
    lastRenewalAt: status.lastRenewalAt ?? null,
    lastRenewalMethod: status.lastRenewalMethod ?? null,
    targets: (spec?.targets ?? []).map(({ name }) => name ?? ''),
    reason: problem?.reason ?? 'NotSeenYet',
    message:
      problem === undefined ? 'no operator has reconciled it yet' : problem.status === 'True' ? '' : problem.message,
  }
}

/** The first condition with a problem, else RenewalHealthy. */
function firstProblem(
  ready: Condition | undefined,
  healthy: Condition | undefined,
  propagated: Condition | undefined,
): Condition | undefined {
  if (ready?.status !== 'True' || healthy === undefined) return ready
  return healthy.status === 'True' && propagated?.status === 'False' ? propagated : healthy
}

function urgency({ expiresInSeconds, ready }: StatusRow): number {
  return ready === 'True' ? (expiresInSeconds ?? Number.MAX_SAFE_INTEGER) : Number.MIN_SAFE_INTEGER
}

function timeLeft(seconds: number | null, past: string): string {
  if (seconds === null) return '-'
  return seconds <= 0 ? past : formatDuration(seconds * 1000)
}

function lastRenewal({ lastRenewalAt, lastRenewalMethod }: StatusRow, nowWall: number): string {
  if (lastRenewalAt === null) return '-'
  const ago = `${age(secondsSince(lastRenewalAt, nowWall))} ago`
  return lastRenewalMethod === null ? ago : `${ago} by ${lastRenewalMethod}`
}

function secondsSince(time: string, nowWall: number): number {
  return Math.round((nowWall - Date.parse(time)) / 1000)
}

/** At least 0: the operator's clock may be ahead of this one. */
function age(seconds: number): string {
  return formatDuration(Math.max(0, seconds) * 1000)
}
