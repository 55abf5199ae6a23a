import { parseStatus } from '../api/v1alpha1/credential.ts'
import { annotations } from '../api/v1alpha1/names.ts'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import { ApiError, isForbidden, isKindUnknown, isNotFound } from '../kubernetes/errors.ts'
import { credentials, type KubernetesClient, type ObjectRef } from '../kubernetes/types.ts'
import { sleep } from '../lib/clock.ts'
import { formatDuration } from '../lib/duration.ts'
import { parseCredential } from '../observe/parse-object.ts'
import type { CommandContext } from './context.ts'
import { CommandError } from './errors.ts'
import { preventsAttempts } from './next-attempt.ts'
import { permissionAdvice } from './permission-advice.ts'
import { notFoundText } from './resource-ref.ts'
import { type CredentialObject, statusProblems } from './status-problems.ts'
import { printable } from './table.ts'

/** A renewal that the annotation asks for. */
export interface RenewalRequest {
  readonly ref: ObjectRef
  /** The annotation as the status will record it. */
  readonly value: string | undefined
  /** The status when the renewal was requested. */
  readonly before: CredentialStatus
  /** Why the operator will not renew now; undefined: it will. */
  readonly obstacle: RenewalObstacle | undefined
}

export interface RenewalObstacle {
  readonly text: string
  readonly advice: string
}

/** What became of a requested renewal. */
export interface RenewalOutcome {
  readonly isRenewed: boolean
  /** In one line, for the user. */
  readonly text: string
}

const pollMs = 200

/** The operator reconciles within a second of the request; a Stalled that stays longer is not about to go. */
const stalledGraceMs = 2000
/** An attempt is made all the same, and requested renewals of an application have a distance of up to 10 s. */
const attemptGraceMs = 15_000

/** Sets the annotation. @throws CommandError for a missing resource or permission; ApiError */
export async function requestRenewal(
  { clock, signal }: Pick<CommandContext, 'clock' | 'signal'>,
  client: KubernetesClient,
  ref: ObjectRef,
): Promise<RenewalRequest> {
  // Milliseconds, so that two requests in one second differ.
  const value = new Date(clock.wall()).toISOString()
  const body = { metadata: { annotations: { [annotations.renewRequestedAt]: value } } }
  const named = `EnosAppCredential ${ref.namespace}/${ref.name}`
  try {
    const patch = { type: 'merge', body } as const
    const { metadata, spec, status } = await client.patch<CredentialObject>(credentials, ref, patch, { signal })
    return {
      ref,
      value: parseCredential({ metadata }).renewRequest,
      before: parseStatus(status),
      obstacle: obstacleOf(metadata.deletionTimestamp, spec?.suspend),
    }
  } catch (error) {
    if (isNotFound(error) && !isKindUnknown(error)) throw new CommandError(notFoundText(ref))
    const isDenied = error instanceof ApiError && error.admissionDenial !== undefined
    if (!isForbidden(error) || isDenied) throw error
    throw new CommandError(`forbidden: cannot patch ${named}: ${permissionAdvice('patch', ref.namespace)}`)
  }
}

function obstacleOf(deletionTimestamp: string | undefined, suspend: unknown): RenewalObstacle | undefined {
  if (deletionTimestamp !== undefined) {
    const text = 'deletion in progress: the operator no longer renews'
    return { text, advice: 'Create the resource again once it is deleted.' }
  }
  if (suspend !== true) return undefined
  const text = 'spec.suspend is true: the operator renews once it is false'
  return { text, advice: 'Set spec.suspend to false.' }
}

/** Waits until the operator has handled the request. @throws ApiError; the reason of the signal */
export async function awaitRenewal(
  { clock, signal }: Pick<CommandContext, 'clock' | 'signal'>,
  client: KubernetesClient,
  { before, ref, value }: RenewalRequest,
  waitMs: number,
): Promise<RenewalOutcome> {
  const since = clock.now()
  let last: CredentialObject | undefined
  while (clock.now() < since + waitMs) {
    last = await client.get<CredentialObject>(credentials, ref, { signal })
    const { renewRequest, status } = parseCredential(last)
    const handled = status.lastHandledRenewRequest
    // A later request of another user replaces this one; the operator then handles that one only.
    if (handled !== undefined && (handled === value || handled === renewRequest)) {
      return outcomeOf(before, status, clock.wall())
    }
    const blocked = blockedText(last, status, clock.now() - since)
    if (blocked !== undefined) return { isRenewed: false, text: printable(`not renewed: ${blocked}`) }
    await sleep(clock, pollMs, signal)
  }
  const [problem] = last === undefined ? [] : statusProblems(last, clock.wall())
  const why =
    problem === undefined
      ? 'is the operator running, and does it watch this namespace? Requested renewals run at most once in 10 s for an application.'
      : printable(`${problem.reason}: ${problem.message}`)
  const waited = waitMs < 1000 ? `${waitMs}ms` : formatDuration(waitMs)
  return { isRenewed: false, text: `no attempt within ${waited}: ${why}` }
}

/** Why waiting longer is of no use; undefined: it may be. */
function blockedText(object: CredentialObject, { conditions }: CredentialStatus, waitedMs: number): string | undefined {
  const obstacle = obstacleOf(object.metadata.deletionTimestamp, object.spec?.suspend)
  if (obstacle !== undefined) return obstacle.text
  const stalled = conditions.find(({ status, type }) => type === 'Stalled' && status === 'True')
  if (stalled === undefined) return undefined
  const graceMs = preventsAttempts(stalled.reason) ? stalledGraceMs : attemptGraceMs
  return waitedMs < graceMs ? undefined : `${stalled.reason}: ${stalled.message}`
}

/**
 * The outcome of a renewal.
 *
 * @param before the status when the renewal was requested
 * @param after the status that records the attempt
 * @param nowWall ms
 */
export function outcomeOf(before: CredentialStatus, after: CredentialStatus, nowWall: number): RenewalOutcome {
  const [healthy, ready] = ['RenewalHealthy', 'Ready'].map((name) => after.conditions.find(({ type }) => type === name))
  if (healthy?.status !== 'True') {
    const why = healthy === undefined ? 'Unknown: no condition RenewalHealthy' : `${healthy.reason}: ${healthy.message}`
    return { isRenewed: false, text: printable(`not renewed: ${why}`) }
  }
  if (ready?.status === 'False' && ready.reason !== 'WaitingForToken') {
    const text = `the gateway gave a token, but not every target holds it: ${ready.reason}: ${ready.message}`
    return { isRenewed: false, text: printable(text) }
  }
  const { expiresAt } = after
  const left = expiresAt === undefined ? '' : ` (${formatDuration(Date.parse(expiresAt) - nowWall)})`
  const valid = `valid until ${expiresAt ?? 'an unknown time'}${left}`
  if (isNewToken(before, after)) return { isRenewed: true, text: `renewed, ${valid}` }
  return {
    isRenewed: false,
    text: `not renewed: the gateway returned the same token, ${valid}: without refresh a new token comes only when this one expires`,
  }
}

/** A refresh may return the same value with a new lifetime, and times are whole seconds: either one changes. */
function isNewToken(before: CredentialStatus, after: CredentialStatus): boolean {
  return before.tokenFingerprint !== after.tokenFingerprint || before.lastRenewalAt !== after.lastRenewalAt
}
