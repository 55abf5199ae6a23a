import { Counter, Gauge, type Registry } from 'prom-client'
import type { Condition } from '../api/v1alpha1/conditions.ts'

/** The values of one resource's series at a scrape. */
export interface CredentialSample {
  readonly namespace: string
  readonly name: string
  /** ms, wall clock; undefined while unknown. */
  readonly expiresAtWall: number | undefined
  readonly nextRenewalAtWall: number | undefined
  readonly conditions: readonly Condition[]
  readonly consecutiveFailures: number | undefined
  readonly targets: number
  /** Targets that another writer keeps changing or deleting. */
  readonly contestedTargets: number
  /** Undefined while the spec is invalid, as is the next. */
  readonly isSuspended: boolean | undefined
  /** Host of the gateway, with the port unless it is the default of the scheme. */
  readonly gatewayHost: string | undefined
  readonly expiredSeconds: number
}

const labelNames = ['namespace', 'name'] as const
const statuses = ['True', 'False', 'Unknown'] as const

/**
 * Registers the series per resource. They are computed at each scrape, so no series outlives its resource, and a value
 * that is not known has no series.
 *
 * @param labelOf the value of `host` in the gateways' metrics
 */
export function registerCredentialMetrics(
  register: Registry,
  samples: () => Iterable<CredentialSample>,
  labelOf: (host: string) => string,
): void {
  const gauge = (name: string, help: string, valueOf: (sample: CredentialSample) => number | undefined): void => {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [register],
      collect() {
        this.reset()
        for (const sample of samples()) {
          const value = valueOf(sample)
          if (value !== undefined) this.set({ namespace: sample.namespace, name: sample.name }, value)
        }
      },
    })
  }
  gauge('enos_credential_token_expiry_timestamp_seconds', 'Expiry of the token on the targets, UNIX time.', (sample) =>
    seconds(sample.expiresAtWall),
  )
  gauge(
    'enos_credential_next_renewal_timestamp_seconds',
    'Time at which the token is due for renewal, UNIX time.',
    (sample) => seconds(sample.nextRenewalAtWall),
  )
  gauge(
    'enos_credential_consecutive_failures',
    'Failed attempts since the last successful one; at least 1 while anything keeps the token from being renewed.',
    (sample) => sample.consecutiveFailures,
  )
  gauge('enos_credential_targets', 'Number of targets in the spec.', (sample) => sample.targets)
  gauge(
    'enos_credential_contested_targets',
    'Number of targets that another writer keeps changing or deleting.',
    (sample) => sample.contestedTargets,
  )
  gauge('enos_credential_suspended', '1 while spec.suspend is set, else 0.', ({ isSuspended }) =>
    isSuspended === undefined ? undefined : Number(isSuspended),
  )
  registerLabelled(register, samples, labelOf)
}

/** The series with more labels than the resource, and the counter. */
function registerLabelled(
  register: Registry,
  samples: () => Iterable<CredentialSample>,
  labelOf: (host: string) => string,
): void {
  new Gauge({
    name: 'enos_credential_info',
    help: 'Always 1. The gateway of the resource: the value of host in enos_gateway_*.',
    labelNames: [...labelNames, 'host'],
    registers: [register],
    collect() {
      this.reset()
      for (const { gatewayHost, name, namespace } of samples()) {
        if (gatewayHost !== undefined) this.set({ namespace, name, host: labelOf(gatewayHost) }, 1)
      }
    },
  })
  new Gauge({
    name: 'enos_credential_condition',
    help: 'Conditions: 1 for the current status of a condition, 0 for its other statuses.',
    labelNames: [...labelNames, 'type', 'status'],
    registers: [register],
    collect() {
      this.reset()
      for (const { namespace, name, conditions } of samples()) {
        for (const { type, status: present } of conditions) {
          for (const status of statuses) this.set({ namespace, name, type, status }, status === present ? 1 : 0)
        }
      }
    },
  })
  new Counter({
    name: 'enos_credential_expired_seconds_total',
    help: 'Seconds during which the targets held an expired token, as observed by this process.',
    labelNames,
    registers: [register],
    collect() {
      this.reset()
      for (const { namespace, name, expiredSeconds } of samples()) this.inc({ namespace, name }, expiredSeconds)
    },
  })
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000
}
