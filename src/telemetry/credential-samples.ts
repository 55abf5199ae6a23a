import type { CredentialSpec } from '../api/v1alpha1/schema.ts'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import type { Clock } from '../lib/clock.ts'
import type { Caches } from '../observe/caches.ts'
import type { CredentialState } from '../observe/credential-state.ts'
import { contestedTargets } from '../observe/disputed-targets.ts'
import { tokenOnTargets } from '../observe/observed.ts'
import type { ApplicationView } from '../tokens/application-view.ts'
import type { CredentialSample } from './credential-metrics.ts'

type Attempts = Pick<ApplicationView, 'failure' | 'failures'>

/**
 * The present sample of each credential, from its status.
 *
 * @param attemptsOf the attempts of this process: the status counts them once a minute
 */
export function* samplesOf(
  { credentials }: Caches,
  stateOf: (key: `${string}/${string}`) => CredentialState | undefined,
  clock: Clock,
  attemptsOf: (key: `${string}/${string}`) => Attempts | undefined = () => undefined,
): Generator<CredentialSample> {
  for (const { key, name, namespace, spec, status } of credentials.values()) {
    const state = stateOf(key)
    yield {
      namespace,
      name,
      expiresAtWall: instant(status.expiresAt),
      nextRenewalAtWall: instant(status.nextRenewalAt),
      conditions: status.conditions,
      consecutiveFailures: failuresOf(status, attemptsOf(key)),
      targets: spec?.targets.length ?? 0,
      contestedTargets: state === undefined || spec === undefined ? 0 : countContested(spec, state, clock.now()),
      isSuspended: spec?.suspend,
      gatewayHost: spec === undefined ? undefined : new URL(spec.gateway.url).host,
      expiredSeconds: state === undefined || spec === undefined ? 0 : expiredMs(spec, state, clock.now()) / 1000,
    }
  }
}

/** At least 1 while the source Secrets, a template or the gateway keep the token from being renewed. */
function failuresOf({ conditions, consecutiveFailures }: CredentialStatus, attempts?: Attempts): number | undefined {
  if (attempts !== undefined) return Math.max(attempts.failures, attempts.failure === undefined ? 0 : 1)
  const isUnhealthy = conditions.some(({ status, type }) => type === 'RenewalHealthy' && status === 'False')
  return isUnhealthy ? Math.max(consecutiveFailures ?? 0, 1) : consecutiveFailures
}

function expiredMs(spec: CredentialSpec, { expiredTime, record }: CredentialState, now: number): number {
  return expiredTime.countUntil(now, tokenOnTargets({ credential: { spec }, record })?.expiresAt)
}

function countContested(spec: CredentialSpec, { contests }: CredentialState, now: number): number {
  return contestedTargets({ credential: { spec }, contests }, now).length
}

function instant(time: string | undefined): number | undefined {
  const ms = Date.parse(time ?? '')
  return Number.isNaN(ms) ? undefined : ms
}
