import { Counter, Gauge, type Registry } from 'prom-client'
import type { Condition } from '../api/v1alpha1/conditions.ts'

/** What is told of one resource. */
export interface CredentialSample {
  readonly namespace: string
  readonly name: string
  /** Wall clock, ms; undefined while unknown. */
  readonly expiresAtWall: number | undefined
  readonly nextRenewalAtWall: number | undefined
  readonly conditions: readonly Condition[]
  readonly consecutiveFailures: number | undefined
  readonly targets: number
  readonly expiredSeconds: number
}

const statuses = ['True', 'False', 'Unknown'] as const

/**
 * Registers what is told of each resource. It is computed anew at each scrape, so that no series outlives its object,
 * and nothing is told that is not known.
 */
export function registerCredentialMetrics(register: Registry, samples: () => Iterable<CredentialSample>): void {
  const labelNames = ['namespace', 'name'] as const
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
  gauge(
    'enos_credential_token_expiry_timestamp_seconds',
    'When the token on the targets expires, UNIX time.',
    (sample) => seconds(sample.expiresAtWall),
  )
  gauge('enos_credential_next_renewal_timestamp_seconds', 'When the token is due for renewal, UNIX time.', (sample) =>
    seconds(sample.nextRenewalAtWall),
  )
  gauge(
    'enos_credential_consecutive_failures',
    'Failed attempts since the last that worked.',
    (sample) => sample.consecutiveFailures,
  )
  gauge('enos_credential_targets', 'Targets in the spec.', (sample) => sample.targets)
  new Gauge({
    name: 'enos_credential_condition',
    help: 'Conditions: 1 for the status that a condition has, 0 for the others.',
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
    help: 'Seconds in which the targets held an expired token, as this process saw it.',
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
