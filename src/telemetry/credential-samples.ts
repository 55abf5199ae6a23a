import type { CredentialSpec } from '../api/v1alpha1/schema.ts'
import type { Clock } from '../lib/clock.ts'
import type { Caches } from '../observe/caches.ts'
import type { CredentialState } from '../observe/credential-state.ts'
import { contestedTargets } from '../observe/disputed-targets.ts'
import { tokenOnTargets } from '../observe/observed.ts'
import type { CredentialSample } from './credential-metrics.ts'

/** The present sample of each credential, from its status. */
export function* samplesOf(
  { credentials }: Caches,
  stateOf: (key: `${string}/${string}`) => CredentialState | undefined,
  clock: Clock,
): Generator<CredentialSample> {
  for (const { key, name, namespace, spec, status } of credentials.values()) {
    const state = stateOf(key)
    yield {
      namespace,
      name,
      expiresAtWall: instant(status.expiresAt),
      nextRenewalAtWall: instant(status.nextRenewalAt),
      conditions: status.conditions,
      consecutiveFailures: status.consecutiveFailures,
      targets: spec?.targets.length ?? 0,
      contestedTargets: state === undefined || spec === undefined ? 0 : countContested(spec, state, clock.now()),
      isSuspended: spec?.suspend,
      gatewayHost: spec === undefined ? undefined : new URL(spec.gateway.url).host,
      expiredSeconds: state === undefined || spec === undefined ? 0 : expiredMs(spec, state, clock.now()) / 1000,
    }
  }
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
