import { createHash } from 'node:crypto'
import { parseDuration } from '../lib/duration.ts'
import { inputsOf } from '../observe/inputs.ts'
import { monotonicNextRenewalAt, type Observed, type TargetSpec, tokenOnTargets } from '../observe/observed.ts'
import { isStillTarget } from '../observe/ownership.ts'
import { wantsPropagation } from '../observe/propagation.ts'
import { isSameVersions } from './source-checks.ts'
import type { Verdict } from './verdict.ts'

/**
 * Nothing has changed since the status was written: spec, sources and targets are the same, and the token is not due. So
 * a restart takes over without a call, a read or a write. A resource that has joined its application in this process
 * goes through the remaining checks.
 */
export function stopWhenUpToDate(observed: Observed, now: number): Verdict | undefined {
  const { credential, isSummoned, membership, sourceMetas } = observed
  const isUpToDate =
    membership === undefined &&
    !isSummoned &&
    isSpecAsRecorded(observed) &&
    isSameVersions(credential.status.sources, sourceMetas) &&
    isTokenAsRecorded(observed, now) &&
    credential.spec.targets.every((target) => isTargetAsRecorded(observed, target))
  return isUpToDate ? { kind: 'upToDate', reason: 'UpToDate' } : undefined
}

/** The status is about this spec and this renewal request, and all was well. */
function isSpecAsRecorded({ credential: { generation, renewRequest, status } }: Observed): boolean {
  const isTrue = (type: string): boolean => status.conditions.some((one) => one.type === type && one.status === 'True')
  return (
    status.observedGeneration === generation &&
    (renewRequest === undefined || renewRequest === status.lastHandledRenewRequest) &&
    isTrue('Ready') &&
    isTrue('RenewalHealthy')
  )
}

/** The token on the targets is of this gateway, is propagated, and is neither expired nor due. */
function isTokenAsRecorded(observed: Observed, now: number): boolean {
  const { propagatedFingerprint } = observed.credential.status
  const token = tokenOnTargets(observed)
  return (
    token?.gatewayUrl === observed.gatewayUrl &&
    now < token.expiresAt &&
    isBefore(now, monotonicNextRenewalAt(observed)) &&
    now < (firstVerificationAt(observed) ?? Number.POSITIVE_INFINITY) &&
    propagatedFingerprint === (wantsPropagation(observed) ? token.fingerprint : undefined)
  )
}

/**
 * When a resource that was taken over unchanged joins its application to verify its token, monotonic clock. Spread over
 * the interval, so that a restart does not send all calls at once. Undefined without spec.verifyEvery.
 */
export function firstVerificationAt({ credential, firstSeenAt }: Observed): number | undefined {
  const { verifyEvery } = credential.spec
  if (verifyEvery === undefined) return undefined
  const share = createHash('sha256').update(credential.uid).digest().readUInt32BE(0) / 2 ** 32
  return firstSeenAt + parseDuration(verifyEvery) * share
}

function isTargetAsRecorded(observed: Observed, target: TargetSpec): boolean {
  const recorded = observed.record.get(target.name)
  const meta = observed.targetMetas.get(target.name)
  return (
    recorded !== undefined &&
    isStillTarget(observed, target.name) &&
    meta?.resourceVersion === recorded.resourceVersion &&
    recorded.inputs === inputsOf(observed, target.name)
  )
}

function isBefore(now: number, at: number | undefined): boolean {
  return at !== undefined && now < at
}
