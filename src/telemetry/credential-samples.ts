import type { Condition } from '../api/v1alpha1/conditions.ts'
import { renewalStatusFor } from '../api/v1alpha1/reasons.ts'
import type { CredentialSpec } from '../api/v1alpha1/schema.ts'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import type { ObjectKey } from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import type { Caches } from '../observe/caches.ts'
import type { CredentialState } from '../observe/credential-state.ts'
import { contestedTargets } from '../observe/disputed-targets.ts'
import { tokenOnTargets } from '../observe/observed.ts'
import type { StoredCredential } from '../observe/parse-object.ts'
import type { Attempts } from '../tokens/application-view.ts'
import type { CredentialSample } from './credential-metrics.ts'

/**
 * The sample of each credential that is present now, from its status.
 *
 * @param attemptsOf the attempts of this process: the status counts them once a minute
 */
export function samplesOf(
  { credentials }: Caches,
  stateOf: (key: ObjectKey) => CredentialState | undefined,
  clock: Pick<Clock, 'now'>,
  attemptsOf: (key: ObjectKey) => Attempts | undefined = () => undefined,
): Iterable<CredentialSample> {
  const present = [...credentials.values()]
  const sources: Sources = { stateOf, clock, attemptsOf, hosts: new Map() }
  return {
    // A sample for each metric is garbage at once: one for all metrics would outlive collections, and stay for long.
    *[Symbol.iterator]() {
      for (const credential of present) yield new PresentSample(credential, sources)
    },
  }
}

interface Sources {
  readonly stateOf: (key: ObjectKey) => CredentialState | undefined
  readonly clock: Pick<Clock, 'now'>
  readonly attemptsOf: (key: ObjectKey) => Attempts | undefined
  /** The hosts of the gateways' URLs, parsed once a scrape. */
  readonly hosts: Map<string, string>
}

/** Computes each value when it is written, so that no scrape computes all values of all resources at once. */
class PresentSample implements CredentialSample {
  readonly #credential: StoredCredential
  readonly #sources: Sources

  constructor(credential: StoredCredential, sources: Sources) {
    this.#credential = credential
    this.#sources = sources
  }

  get namespace(): string {
    return this.#credential.namespace
  }

  get name(): string {
    return this.#credential.name
  }

  get expiresAtWall(): number | undefined {
    return instant(this.#credential.status.expiresAt)
  }

  get nextRenewalAtWall(): number | undefined {
    return instant(this.#credential.status.nextRenewalAt)
  }

  get conditions(): readonly Condition[] {
    return this.#credential.status.conditions
  }

  get consecutiveFailures(): number | undefined {
    const { key, status } = this.#credential
    return failuresOf(status, this.#sources.attemptsOf(key))
  }

  get targets(): number {
    return this.#credential.spec?.targets.length ?? 0
  }

  get contestedTargets(): number {
    const { spec, state } = this.#present()
    return state === undefined || spec === undefined ? 0 : countContested(spec, state, this.#sources.clock.now())
  }

  get isSuspended(): boolean | undefined {
    return this.#credential.spec?.suspend
  }

  get gatewayHost(): string | undefined {
    const url = this.#credential.spec?.gateway.url
    if (url === undefined) return undefined
    const { hosts } = this.#sources
    const host = hosts.get(url) ?? new URL(url).host
    hosts.set(url, host)
    return host
  }

  get expiredSeconds(): number {
    const { spec, state } = this.#present()
    return state === undefined || spec === undefined ? 0 : expiredMs(spec, state, this.#sources.clock.now()) / 1000
  }

  #present(): { readonly spec: CredentialSpec | undefined; readonly state: CredentialState | undefined } {
    const { key, spec } = this.#credential
    return { spec, state: this.#sources.stateOf(key) }
  }
}

/** At least 1 while the sources, the spec or the gateway keep the token from being renewed. */
function failuresOf({ conditions, consecutiveFailures }: CredentialStatus, attempts?: Attempts): number | undefined {
  if (attempts !== undefined) return Math.max(attempts.failures, attempts.failure === undefined ? 0 : 1)
  const isPrevented = conditions.some(({ reason, status, type }) => {
    return type === 'RenewalHealthy' && (status === 'False' || renewalStatusFor(reason) === 'Unknown')
  })
  return isPrevented ? Math.max(consecutiveFailures ?? 0, 1) : consecutiveFailures
}

function expiredMs(spec: CredentialSpec, { expiredTime, record }: CredentialState, now: number): number {
  return expiredTime.countUntil(now, tokenOnTargets({ credential: { spec }, record })?.expiresAt)
}

function countContested(spec: CredentialSpec, { contests }: CredentialState, now: number): number {
  return contests.size === 0 ? 0 : contestedTargets({ credential: { spec }, contests }, now).length
}

function instant(time: string | undefined): number | undefined {
  const ms = Date.parse(time ?? '')
  return Number.isNaN(ms) ? undefined : ms
}
