import type { CredentialSample } from '../telemetry/credential-metrics.ts'
import type { Clock } from '../lib/clock.ts'
import type { Caches } from './caches.ts'
import type { CredentialState } from './credential-state.ts'
import type { PublishedToken } from './observed.ts'

/** What metrics tell of each credential at this moment, by its status. */
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
      expiredSeconds: state === undefined ? 0 : (state.expiredMs + expiredSoFarMs(state, clock.now())) / 1000,
    }
  }
}

/** For how long the targets have held a token that is expired now; counted from when this process saw them first. */
function expiredSoFarMs({ firstSeenAt, record }: CredentialState, now: number): number {
  const tokens = [...record.values()].flatMap(({ token }): PublishedToken[] => (token === undefined ? [] : [token]))
  const earliest = tokens.reduce((at, { expiresAt }) => Math.min(at, expiresAt), Number.POSITIVE_INFINITY)
  return Math.max(0, now - Math.max(earliest, firstSeenAt))
}

function instant(time: string | undefined): number | undefined {
  const ms = Date.parse(time ?? '')
  return Number.isNaN(ms) ? undefined : ms
}
