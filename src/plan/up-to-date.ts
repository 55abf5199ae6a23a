import { createHash } from 'node:crypto'
import { parseDuration } from '../lib/duration.ts'
import { wantsPropagation } from '../observe/propagation.ts'
import {
  inputsOf,
  type Observed,
  tokenOnTargets,
  monotonicNextRenewalAt,
  type TargetSpec,
} from '../observe/observed.ts'
import { isStillTarget } from '../observe/ownership.ts'
import { isSameVersions } from './source-checks.ts'
import type { Verdict } from './verdict.ts'

/**
 * Nothing has changed since the status was written: spec, sources and targets are the same, and the token is not due. So
 * a restart takes over without a call, a read or a write. A resource that has joined its application in this process
 * goes through the remaining checks.
 */
export function stopWhenUpToDate(observed: Observed, now: number): Verdict | undefined {
  const { credential, gatewayUrl, isSummoned, membership, sourceMetas } = observed
  const { conditions, lastHandledRenewRequest, observedGeneration, propagatedFingerprint, sources } = credential.status
  const isTrue = (type: string): boolean => conditions.find((condition) => condition.type === type)?.status === 'True'
  const token = tokenOnTargets(observed)
  const isAsRecorded =
    membership === undefined &&
    !isSummoned &&
    observedGeneration === credential.generation &&
    (credential.renewRequest === undefined || credential.renewRequest === lastHandledRenewRequest) &&
    isTrue('Ready') &&
    isTrue('RenewalHealthy') &&
    token?.gatewayUrl === gatewayUrl &&
    isSameVersions(sources, sourceMetas) &&
    now < token.expiresAt &&
    isBefore(now, monotonicNextRenewalAt(observed)) &&
    now < (firstVerificationAt(observed) ?? Number.POSITIVE_INFINITY) &&
    propagatedFingerprint === (wantsPropagation(observed) ? token.fingerprint : undefined) &&
    credential.spec.targets.every((target) => isTargetAsRecorded(observed, target))
  return isAsRecorded ? { kind: 'upToDate', reason: 'UpToDate' } : undefined
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
