import { home } from '../../tools/published.ts'
import {
  byCredential,
  contested,
  credential,
  expiry,
  failures,
  nextRenewal,
  problemStart,
  ready,
  remaining,
  stalled,
  suspended,
} from '../recordings.ts'
import { type Alert, hour, minute } from '../rule.ts'

const id = '{{ $labels.namespace }}/{{ $labels.name }}'

/**
 * The reason of a condition, since when, and what to do about it. In the text and not a label of the alert: an alert whose
 * reason changes goes on firing.
 */
function why(type: 'Ready' | 'RenewalHealthy' | 'Stalled'): string {
  const query = `printf "${problemStart}{job=%q,namespace=%q,name=%q,type=%q}" $labels.job $labels.namespace $labels.name "${type}"`
  return `{{ range ${query} | query }} The reason is {{ .Labels.reason }}, since {{ .Value | humanizeTimestamp }} (${home}/docs/reference/reasons.md#{{ .Labels.reason }}).{{ end }}`
}

/**
 * With renewalMethod Get a target holds an expired token for up to a second at each renewal, and Ready falls after 2 s.
 */
const expired = `(-${remaining} > 5 unless on (${credential}) ${suspended} == 1)`

/** A healthy renewal begins with the window and takes seconds, so half of the window is never used up. */
const soonShare = 0.5

export const credentialAlerts: readonly Alert[] = [
  {
    name: 'EnosCredentialTokenExpired',
    expression: () => expired,
    forSeconds: minute,
    keepFiringForSeconds: 2 * minute,
    severity: 'critical',
    summary: `The token of ${id} has expired`,
    description: `The targets of ${id} have held an expired token for {{ $value | humanizeDuration }}.${why('RenewalHealthy')} The gateway refuses the requests of the pods that use it.`,
  },
  {
    name: 'EnosCredentialTokenExpiresSoon',
    expression: () =>
      `${remaining} > 0 < ${soonShare} * (${expiry} - ${nextRenewal}) and on (${credential}) ${ready} == 1`,
    forSeconds: 0,
    // The token expires before EnosCredentialTokenExpired fires.
    keepFiringForSeconds: 2 * minute,
    severity: 'critical',
    summary: `The token of ${id} expires in {{ $value | humanizeDuration }} and is not renewed`,
    description: `Half of the time that ${id} has for renewing its token has passed without a new one.${why('RenewalHealthy')} The pods still have a valid token for {{ $value | humanizeDuration }}.`,
  },
  {
    name: 'EnosCredentialServedWhileExpired',
    expression: (duration) =>
      [
        // With renewalMethod Get and a lifetime of 60 s, up to 1.7 % of the time.
        `${byCredential(`rate(enos_credential_expired_seconds_total[${duration(hour / 2)}])`, 'sum')} > 0.025`,
        `unless on (${credential}) ${suspended} == 1`,
      ].join('\n'),
    forSeconds: 0,
    keepFiringForSeconds: 0,
    severity: 'warning',
    summary: `The pods of ${id} were served an expired token`,
    description: `In the last 30 minutes the targets of ${id} held an expired token for {{ $value | humanizePercentage }} of the time. Requests of the pods failed then, whether the token is valid now or not.`,
  },
  {
    name: 'EnosCredentialRenewalFailing',
    expression: () =>
      `${failures} > 0\nunless on (${credential}) ${stalled} == 1\nunless on (${credential}) ${suspended} == 1`,
    forSeconds: 5 * minute,
    keepFiringForSeconds: 5 * minute,
    severity: 'warning',
    summary: `Renewing the token of ${id} fails`,
    description: `{{ $value }} attempts in a row to renew the token of ${id} have failed.${why('RenewalHealthy')} A token on the targets stays valid until it expires.`,
  },
  {
    name: 'EnosCredentialNotReady',
    expression: () => `${ready} == 0\nunless on (${credential}) ${stalled} == 1\nunless on (${credential}) ${expired}`,
    forSeconds: 5 * minute,
    keepFiringForSeconds: 5 * minute,
    severity: 'warning',
    summary: `${id} is not ready`,
    description: `A target of ${id} has no valid token: it was never written, is in conflict, or belongs to a suspended resource whose token has expired.${why('Ready')} Pods that mount it may not start.`,
  },
  {
    name: 'EnosCredentialStalled',
    expression: () => `${stalled} == 1`,
    forSeconds: 5 * minute,
    keepFiringForSeconds: 5 * minute,
    severity: 'warning',
    summary: `${id} cannot go on until it is corrected`,
    description: `The condition Stalled of ${id} is True: a retry cannot help, its owner has to correct the resource or its source Secrets.${why('Stalled')} A token on the targets stays valid until it expires.`,
  },
  {
    name: 'EnosCredentialTargetContested',
    expression: () => `${contested} > 0`,
    forSeconds: 5 * minute,
    keepFiringForSeconds: 10 * minute,
    severity: 'warning',
    summary: `Another writer keeps changing targets of ${id}`,
    description: `{{ $value }} targets of ${id} are changed or deleted again and again by another writer. Pods may read no token, or an old one.`,
  },
]
