import type { Reason } from '../api/v1alpha1/reasons.ts'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import { joinNames } from '../lib/join-names.ts'

/** With these the operator makes no attempt, so a request stays unhandled until the user has acted. */
const reasonsWithoutAttempt: ReadonlySet<string> = new Set<Reason>([
  'SourceSecretNotFound',
  'SourceKeyMissing',
  'SourceForbidden',
  'InvalidCA',
  'GatewayNotAllowed',
  'TemplateError',
  'InvalidSpec',
])
/** Of these, the ones that a change of a source ends. */
const sourceReasons: ReadonlySet<string> = new Set<Reason>(['SourceSecretNotFound', 'SourceKeyMissing', 'InvalidCA'])
/** The gateway refuses what the sources hold. */
const refusals: ReadonlySet<string> = new Set<Reason>(['AppKeyNotFound', 'InvalidAppSecret'])

export function preventsAttempts(reason: string): boolean {
  return reasonsWithoutAttempt.has(reason)
}

/**
 * What the next attempt waits for, where renewals fail or none is made; undefined: nothing is in the way.
 *
 * @param sources the objects that the spec reads from, such as `Secret enos-app`
 */
export function awaitedChange({ conditions }: CredentialStatus, sources: readonly string[]): string | undefined {
  const stalled = conditions.find(({ status, type }) => type === 'Stalled' && status === 'True')
  const unhealthy = conditions.find(({ status, type }) => type === 'RenewalHealthy' && status === 'False')
  const reason = [stalled, unhealthy].map((one) => one?.reason ?? '').find((one) => preventsAttempts(one))
  const changed = sources.length === 0 ? 'the sources' : joinNames(sources)
  if (reason === 'SourceForbidden') return 'tried again within 10m'
  if (reason === 'GatewayNotAllowed') return 'waits for a change of spec.gateway.url, or of --allowed-gateways'
  if (reason !== undefined) return `waits for a change of ${sourceReasons.has(reason) ? changed : 'the spec'}`
  if (unhealthy === undefined) return undefined
  return refusals.has(unhealthy.reason)
    ? `retried within 10m, and at once after a change of ${changed}`
    : 'retried with growing delays'
}
