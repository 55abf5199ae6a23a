import type { WriteReason } from '../api/v1alpha1/action-reasons.ts'
import type { Condition } from '../api/v1alpha1/conditions.ts'
import { parseSpec, parseStatus } from '../api/v1alpha1/credential.ts'
import type { CredentialSpec } from '../api/v1alpha1/schema.ts'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import { formatDuration } from '../lib/duration.ts'
import { sourceRefs } from '../observe/observed.ts'
import { awaitedChange } from './next-attempt.ts'
import { type CredentialObject, overdueAfterMs, type StatusProblem } from './status-problems.ts'
import { type StatusRow, statusRow } from './status-table.ts'
import { printable, renderTable } from './table.ts'

/** One resource in full. Times are RFC 3339. */
export interface StatusDetail {
  readonly row: StatusRow
  /** Null: the spec is invalid. */
  readonly gateway: string | null
  readonly renewalMethod: string | null
  readonly isSuspended: boolean
  readonly status: CredentialStatus
  readonly targets: readonly TargetDetail[]
  readonly sources: readonly SourceDetail[]
  /** Null: not wanted. */
  readonly propagation: string | null
}

export interface TargetDetail {
  readonly name: string
  readonly creationPolicy: string
  readonly deletionPolicy: string
  /** Keys as written last; empty: not written yet. */
  readonly keys: readonly string[]
  readonly isInSpec: boolean
  /** Null: not written yet, or not recorded by this version of the operator. */
  readonly lastWrite: { readonly reason: string; readonly at: string } | null
}

export interface SourceDetail {
  /** Such as `Secret enos-app`. */
  readonly object: string
  readonly fields: readonly string[]
  readonly keys: readonly string[]
  /** resourceVersion that the present token was obtained with; null: none. */
  readonly usedVersion: string | null
}

/** @param nowWall ms */
export function statusDetail(object: CredentialObject, nowWall: number): StatusDetail {
  const parsed = parseSpec(object.metadata.name ?? '', object.spec)
  const spec = parsed.ok ? parsed.spec : undefined
  const status = parseStatus(object.status)
  return {
    row: statusRow(object, nowWall),
    gateway: spec?.gateway.url ?? status.gateway ?? null,
    renewalMethod: spec?.renewalMethod ?? null,
    isSuspended: object.spec?.suspend === true,
    status,
    targets: targetDetails(spec, status, object.status),
    sources: sourceDetails(spec, status),
    propagation: spec === undefined ? null : propagationOf(spec),
  }
}

function targetDetails(
  spec: CredentialSpec | undefined,
  { targets: written }: CredentialStatus,
  raw: unknown,
): TargetDetail[] {
  const inSpec = (spec?.targets ?? []).map(({ creationPolicy, deletionPolicy, name }): TargetDetail => {
    const keys = written.find((one) => one.name === name)?.keys ?? []
    return { name, creationPolicy, deletionPolicy, keys, isInSpec: true, lastWrite: lastWriteOf(raw, name) }
  })
  const removed = written
    .filter(({ name }) => spec !== undefined && inSpec.every((one) => one.name !== name))
    .map(({ creationPolicy, deletionPolicy, keys, name }): TargetDetail => {
      return { name, creationPolicy, deletionPolicy, keys, isInSpec: false, lastWrite: lastWriteOf(raw, name) }
    })
  return [...inSpec, ...removed]
}

/** From the unparsed status, because an operator or CRD of another version may not record it. */
function lastWriteOf(raw: unknown, name: string): TargetDetail['lastWrite'] {
  const targets: unknown = (raw as { readonly targets?: unknown } | null | undefined)?.targets
  if (!Array.isArray(targets)) return null
  const target = (targets as unknown[]).find((one) => fieldOf(one, 'name') === name)
  const lastWrite = fieldOf(target, 'lastWrite')
  const [reason, at] = [fieldOf(lastWrite, 'reason'), fieldOf(lastWrite, 'at')]
  return typeof reason === 'string' && typeof at === 'string' ? { reason, at } : null
}

function fieldOf(value: unknown, field: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[field] : undefined
}

function sourceDetails(spec: CredentialSpec | undefined, { sources: used }: CredentialStatus): SourceDetail[] {
  const refs = spec === undefined ? [] : sourceRefs(spec)
  return refs.map(({ fields, keys, kind, name }) => ({
    object: `${kind} ${name}`,
    fields,
    keys: [...new Set(keys)],
    usedVersion:
      used.find((one) => one.name === name && keys.every((key) => one.keys?.includes(key)))?.resourceVersion ?? null,
  }))
}

function propagationOf({ propagation, restartOnRenewal = [] }: CredentialSpec): string | null {
  const restarts = restartOnRenewal.map(({ kind, name }) => `${kind} ${name}`)
  const parts = [
    ...(propagation === 'Immediate' ? ['Immediate: pods that mount a target get a new token at once'] : []),
    ...(restarts.length === 0 ? [] : [`restarts on renewal: ${restarts.join(', ')}`]),
  ]
  return parts.length === 0 ? null : parts.join('; ')
}

/** @param nowWall ms */
export function renderDetail(detail: StatusDetail, nowWall: number): string {
  const { propagation, row, sources, status, targets } = detail
  const sections: readonly (readonly [title: string, text: string])[] = [
    ['', summary(detail)],
    ['Problems', problemLines(row.problems)],
    ['Token', tokenLines(detail, nowWall)],
    ['Conditions', conditionTable(status.conditions, nowWall)],
    ['Targets', targetTable(targets, row.targetsWithoutToken, nowWall)],
    ['Sources', sourceTable(sources)],
    ['Propagation', propagation === null ? '' : pairs([['Policy', propagation], ...propagatedTo(status)])],
  ]
  return sections
    .filter(([, text]) => text !== '')
    .map(([title, text]) => (title === '' ? text : `${title}:\n${indent(text)}`))
    .join('\n')
}

function summary({ gateway, isSuspended, renewalMethod, row, status }: StatusDetail): string {
  return pairs([
    ['Name', row.name],
    ['Namespace', row.namespace],
    ['Gateway', gateway ?? 'unknown: the spec is invalid'],
    ...(renewalMethod === null ? [] : [['Renewal method', renewalMethod] as const]),
    ...(isSuspended ? [['Suspended', 'yes: spec.suspend is true, so nothing is renewed'] as const] : []),
    ['Ready', readyText(row, status)],
  ])
}

function readyText({ ready }: StatusRow, { conditions }: CredentialStatus): string {
  const isOutdated = ready === 'False' && conditions.some(({ status, type }) => type === 'Ready' && status === 'True')
  return isOutdated ? 'False (the token has expired; the condition is outdated)' : ready
}

function problemLines(problems: readonly StatusProblem[]): string {
  return problems.map(({ message, reason }) => `${printable(`${reason}: ${message}`)}\n`).join('')
}

function tokenLines(detail: StatusDetail, nowWall: number): string {
  const { row, status } = detail
  const { lastRenewalMethod } = row
  const method = lastRenewalMethod === null ? '' : `, by ${lastRenewalMethod}`
  const renewal = status.lastRenewalAt === undefined ? 'never' : `${moment(status.lastRenewalAt, nowWall)}${method}`
  return pairs([
    ['Expires', expiry(status.expiresAt, nowWall)],
    ['First received', status.issuedAt === undefined ? '-' : moment(status.issuedAt, nowWall)],
    ['Next renewal', nextRenewal(detail, nowWall)],
    ['Last renewal', renewal],
    ['Consecutive failures', String(status.consecutiveFailures ?? 0)],
    ['Fingerprint', status.tokenFingerprint ?? '-'],
  ])
}

function nextRenewal({ isSuspended, sources, status: all }: StatusDetail, nowWall: number): string {
  if (isSuspended) return 'none: spec.suspend is true'
  const { nextRenewalAt } = all
  const objects = sources.map(({ object }) => object)
  const awaited = awaitedChange(all, objects)
  if (nextRenewalAt === undefined) return awaited ?? 'none planned'
  const isPast = Date.parse(nextRenewalAt) <= nowWall
  return `${due(nextRenewalAt, nowWall)}${isPast && awaited !== undefined ? `; ${awaited}` : ''}`
}

function conditionTable(conditions: readonly Condition[], nowWall: number): string {
  if (conditions.length === 0) return ''
  return renderTable(
    ['TYPE', 'STATUS', 'REASON', 'SINCE', 'MESSAGE'],
    conditions.map(({ lastTransitionTime, message, reason, status, type }) => [
      type,
      status,
      reason,
      moment(lastTransitionTime, nowWall),
      message,
    ]),
  )
}

function targetTable(targets: readonly TargetDetail[], withoutToken: readonly string[], nowWall: number): string {
  if (targets.length === 0) return ''
  return renderTable(
    ['NAME', 'POLICIES', 'KEYS', 'LAST WRITE', 'REASON'],
    targets.map(({ creationPolicy, deletionPolicy, isInSpec, keys, lastWrite, name }) => [
      isInSpec ? name : `${name} (no longer in spec.targets)`,
      `${creationPolicy}, ${deletionPolicy}`,
      `${keys.length === 0 ? 'not written yet' : keys.join(', ')}${isInSpec && withoutToken.includes(name) ? ' (no token)' : ''}`,
      lastWrite === null ? '-' : moment(lastWrite.at, nowWall),
      lastWrite === null ? '-' : writeReasonText(lastWrite.reason),
    ]),
  )
}

/** In the past tense: in the present one, the reason of a past write reads like a problem of now. */
const pastReasons = {
  Missing: 'the Secret, or a key in it, did not exist',
  NewToken: 'there was a new token',
  SpecChanged: 'the spec had changed',
  SourceChanged: 'a source had changed',
  Drift: 'another writer had changed the Secret',
  TypeChanged: 'the Secret had another type',
  Immutable: 'the Secret was immutable',
  OwnershipChanged: 'creationPolicy had changed',
  Adopted: 'the Secret was not recorded in the status',
  RemovedFromSpec: 'the spec no longer had the target',
  Deleted: 'the resource was being deleted',
} as const satisfies Readonly<Record<WriteReason, string>>

/** The reason with its meaning; an operator of another version may have others. */
function writeReasonText(reason: string): string {
  const known: Readonly<Record<string, string>> = pastReasons
  return Object.hasOwn(known, reason) ? `${reason}: ${known[reason] ?? ''}` : reason
}

function sourceTable(sources: readonly SourceDetail[]): string {
  if (sources.length === 0) return ''
  return renderTable(
    ['OBJECT', 'KEYS', 'FIELDS', 'USED VERSION'],
    sources.map(({ fields, keys, object, usedVersion }) => [
      object,
      keys.join(', '),
      fields.join(', '),
      usedVersion ?? 'none yet',
    ]),
  )
}

function propagatedTo({ conditions, propagatedFingerprint, tokenFingerprint }: CredentialStatus) {
  const isPresent = propagatedFingerprint !== undefined && propagatedFingerprint === tokenFingerprint
  const condition = conditions.find(({ type }) => type === 'Propagated')
  const state = isPresent ? 'the present token' : 'not the present token yet'
  return [['Propagated', condition === undefined ? state : `${state} (${condition.reason})`] as const]
}

/** `2026-01-01T12:00:00Z (5m ago)` or `… (in 5m)`. */
function moment(time: string, nowWall: number): string {
  const ms = Date.parse(time) - nowWall
  if (Number.isNaN(ms)) return time
  return `${time} (${ms > 0 ? `in ${formatDuration(ms)}` : `${formatDuration(-ms)} ago`})`
}

function expiry(time: string | undefined, nowWall: number): string {
  if (time === undefined) return 'no token on the targets'
  return moment(time, nowWall).replace(/\((.*) ago\)$/, '(expired $1 ago)')
}

function due(time: string, nowWall: number): string {
  const ms = Date.parse(time) - nowWall
  if (ms > 0 || Number.isNaN(ms)) return moment(time, nowWall)
  return -ms > overdueAfterMs ? `${time} (overdue by ${formatDuration(-ms)})` : `${time} (now)`
}

function pairs(entries: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length)) + 1
  return entries.map(([name, value]) => `${`${name}:`.padEnd(width)}  ${printable(value)}\n`).join('')
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '  ')
}
