import { z } from 'zod'
import { celPattern, matching, rule } from './cel-rules.ts'

const dnsLabel = '[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?'
const dnsSubdomain = new RegExp(`^${dnsLabel}(?:\\.${dnsLabel})*$`)

export const durationPattern = /^([0-9]+(ms|s|m|h))+$/
export const durationSchema = matching(
  z.string().max(32),
  durationPattern,
  'expected a duration like 10s, 5m or 1h30m (units: ms, s, m, h)',
)

/** The digits decide: the durations of CEL end at 292 years, and its error message would not name the reason. */
export const positiveDurationSchema = rule(
  durationSchema,
  'must be more than 0',
  `self.matches('[1-9]') || !self.matches('${celPattern(durationPattern)}')`,
  // A text that is no duration has an issue of its own.
  (text) => !durationPattern.test(text) || /[1-9]/.test(text),
)

/** Name of a Secret, ConfigMap or workload. */
export const objectNameSchema = matching(
  z.string().min(1).max(253),
  dnsSubdomain,
  'expected the name of an object: lower-case letters, digits, - and ., at most 63 characters between dots',
)

/** Key of a Secret or ConfigMap. */
export const dataKeySchema = matching(
  z.string().min(1).max(253),
  /^[-._a-zA-Z0-9]+$/,
  'expected a key of letters, digits, -, _ and .',
)

export function secretKeyRefSchema(defaultKey: string, description: string) {
  return z
    .object({
      name: objectNameSchema.describe('Name of the Secret, in the namespace of this resource.'),
      key: dataKeySchema
        .default(defaultKey)
        .describe(`Key in the Secret: letters, digits, -, _ and ., at most 253 characters. Default: ${defaultKey}.`),
    })
    .describe(description)
}
