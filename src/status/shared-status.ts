import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import type { Observed } from '../observe/observed.ts'
import { agreementMs } from '../observe/other-operator.ts'
import { isSameStatus } from './next-status.ts'

/** Whether the status is neither the one that this process wrote, nor the one that it found: another operator wrote it. */
export function isWrittenElsewhere({ credential, ownStatus }: Pick<Observed, 'credential' | 'ownStatus'>): boolean {
  const { status } = credential
  return ownStatus !== undefined && ownStatus !== status && !isSameStatus(ownStatus, status)
}

/**
 * Whether two operators mean the same by two statuses. Each makes calls of its own, so that their last renewals and
 * failures differ, and times by the whole seconds of `expire`.
 */
export function isEquivalentStatus(a: CredentialStatus, b: CredentialStatus): boolean {
  return (
    isSameStatus(withoutOwn(a), withoutOwn(b)) &&
    isNear(a.expiresAt, b.expiresAt) &&
    isNear(a.issuedAt, b.issuedAt) &&
    isNear(a.nextRenewalAt, b.nextRenewalAt)
  )
}

function withoutOwn(status: CredentialStatus): CredentialStatus {
  const own: ReadonlySet<string> = new Set([
    'consecutiveFailures',
    'expiresAt',
    'issuedAt',
    'lastRenewalAt',
    'lastRenewalMethod',
    'nextRenewalAt',
  ])
  return Object.fromEntries(Object.entries(status).filter(([field]) => !own.has(field))) as CredentialStatus
}

function isNear(a: string | undefined, b: string | undefined): boolean {
  return a === b || Math.abs(Date.parse(a ?? '') - Date.parse(b ?? '')) <= agreementMs
}
