import { z } from 'zod'
import { parseDuration } from '../../lib/duration.ts'

/**
 * The one source of the resource: the CRD in crds/ is generated from it (tools/generate.ts), and the operator reads
 * resources with it. A rule that JSON schema cannot express stands beside its CEL twin, `rule`, so that both agree.
 */

/** A CEL rule of the API server, and the same in zod. */
function rule<T extends z.ZodType>(
  schema: T,
  message: string,
  cel: string,
  isMet: (value: z.output<T>) => boolean,
  path?: string[],
): T {
  const present = (z.globalRegistry.get(schema)?.['x-kubernetes-validations'] ?? []) as object[]
  return schema.refine(isMet, { message, ...(path === undefined ? {} : { path }) }).meta({
    ...z.globalRegistry.get(schema),
    'x-kubernetes-validations': [...present, { rule: cel, message }],
  })
}

const dnsLabel = '[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?'
const dnsSubdomain = new RegExp(`^${dnsLabel}(?:\\.${dnsLabel})*$`)
const qualifiedName = /^(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

const durationPattern = /^([0-9]+(ms|s|m|h))+$/
const duration = z.string().max(32).regex(durationPattern, 'expected a duration like 10s, 5m or 1h30m')
/** Told by its digits: CEL's own durations end at 292 years, and a longer one would be refused without a word why. */
const someTime = rule(
  duration,
  'must be more than 0',
  "self.matches('[1-9]')",
  // What is no duration is found by its pattern.
  (text) => !durationPattern.test(text) || /[1-9]/.test(text),
)
/**
 * Less answers nobody in time, or is `ms` typed for `s`; more is longer than anybody waits for a token. Six digits are
 * too much in any unit, and CEL has no word of its own for what is beyond its durations.
 */
const callTimeout = rule(
  duration,
  'must be from 100ms to 1m: leave it out for the default, 10s',
  "self.matches('^(0*[0-9]{1,5}(ms|s|m|h))+$') && duration(self) >= duration('100ms') && duration(self) <= duration('1m')",
  // What is no duration is found by its pattern.
  (text) => !durationPattern.test(text) || (parseDuration(text) >= 100 && parseDuration(text) <= 60_000),
)

const secretName = z.string().min(1).max(253).regex(dnsSubdomain, 'expected the name of a Secret')
const secretKey = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[-._a-zA-Z0-9]+$/, 'expected a key of letters, digits, -, _ and .')

/** Scheme, host, optional port, optional path; no userinfo, query, fragment or white space. */
const gatewayUrl =
  /^https?:\/\/(?:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)*|\[[0-9a-fA-F:.]{2,45}\])(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(?:\/[-A-Za-z0-9._~%!$&'()*+,;=:@/]*)?$/

const reservedDomain = /(?:^|\.)(?:kubernetes\.io|k8s\.io|enos\.io)\//
const reservedDomainCel = "key.matches('(^|[.])(kubernetes[.]io|k8s[.]io|enos[.]io)/')"

function metadataMap(what: 'label' | 'annotation', value: z.ZodString) {
  const map = z.record(z.string().max(317), value).refine((entries) => Object.keys(entries).length <= 32, 'at most 32')
  const named = rule(
    map.meta({ maxProperties: 32 }),
    `${what} keys must be valid: an optional domain and a name of at most 63 characters`,
    `self.all(key, key.size() <= 317 && key.matches('${celPattern(qualifiedName)}'))`,
    (entries) => Object.keys(entries).every((key) => qualifiedName.test(key)),
  )
  return rule(
    named,
    `${what} keys under kubernetes.io, k8s.io and enos.io are reserved`,
    `self.all(key, !${reservedDomainCel})`,
    (entries) => Object.keys(entries).every((key) => !reservedDomain.test(key)),
  )
}

/** A pattern as a CEL string: RE2 and JavaScript agree on what is used here. */
function celPattern(pattern: RegExp): string {
  return pattern.source.replaceAll('\\/', '/').replaceAll('\\', '\\\\')
}

const labelValue = z
  .string()
  .max(63)
  .regex(/^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/, 'expected a label value')

const templates = rule(
  rule(
    z
      .record(z.string().max(253), z.string().max(16_384))
      .refine((data) => Object.keys(data).length >= 1 && Object.keys(data).length <= 64, '1 to 64 keys')
      .meta({ minProperties: 1, maxProperties: 64 }),
    'keys must consist of letters, digits, -, _ and ., at most 253',
    "self.all(key, key.size() <= 253 && key.matches('^[-._a-zA-Z0-9]+$'))",
    (data) => Object.keys(data).every((key) => /^[-._a-zA-Z0-9]{1,253}$/.test(key)),
  ),
  'keys must not be . or .. or start with ..',
  "self.all(key, key != '.' && !key.startsWith('..'))",
  (data) => Object.keys(data).every((key) => key !== '.' && !key.startsWith('..')),
)

const target = rule(
  z
    .object({
      name: secretName.describe('Name of the Secret to write, in the namespace of the resource.'),
      type: rule(
        z.string().min(1).max(253),
        'types under kubernetes.io and helm.sh have a meaning that this Secret cannot have',
        "!self.matches('(^|[.])(kubernetes[.]io|helm[.]sh)/')",
        (type) => !/(?:^|\.)(?:kubernetes\.io|helm\.sh)\//.test(type),
      )
        .optional()
        .describe('Type of the Secret. Default: Opaque. Not with creationPolicy Merge.'),
      labels: metadataMap('label', labelValue)
        .optional()
        .describe('Labels of the Secret. Not with creationPolicy Merge.'),
      annotations: metadataMap('annotation', z.string().max(16_384))
        .optional()
        .describe('Annotations of the Secret. Not with creationPolicy Merge.'),
      data: templates
        .default({ accessToken: '{{ accessToken }}', expiresAt: '{{ expiresAt }}' })
        .describe(
          'Keys of the Secret and their templates: Liquid outputs and filters, no tags. Variables: accessToken, appKey, appSecret, gatewayUrl, expiresAt, expiresAtUnix, issuedAt, name, namespace. Filters: base64_encode, json, url_encode, and what Liquid has.',
        ),
      creationPolicy: z
        .enum(['Owner', 'Merge'])
        .default('Owner')
        .describe(
          'Owner: the operator makes the Secret and owns it. Merge: it writes its keys into one that is there.',
        ),
      deletionPolicy: z
        .enum(['Delete', 'Retain'])
        .default('Delete')
        .describe(
          'What becomes of the Secret, or of the merged keys, with the resource. Merged keys are taken out by the operator, and the resource stays until they are: with an operator that runs in this very namespace, delete it before the namespace.',
        ),
    })
    .describe('A Secret that holds the token.'),
  'type, labels and annotations are not for creationPolicy Merge: the Secret is somebody else’s',
  "self.creationPolicy != 'Merge' || (!has(self.type) && !has(self.labels) && !has(self.annotations))",
  (value) =>
    value.creationPolicy !== 'Merge' ||
    (value.type === undefined && value.labels === undefined && value.annotations === undefined),
)

function secretKeyRef(defaultKey: string, what: string) {
  return z
    .object({
      name: secretName.describe('Name of the Secret, in the namespace of the resource.'),
      key: secretKey.default(defaultKey).describe('Key in the Secret.'),
    })
    .describe(what)
}

const gateway = rule(
  z
    .object({
      url: z
        .string()
        .max(1024)
        .regex(
          gatewayUrl,
          'expected http(s)://host, with optional port and base path, lower-case, without userinfo, query or fragment',
        )
        // What CEL cannot tell: https://[::::] and https://1.2.3.4.5 look like URLs, and are none.
        .refine((url) => !gatewayUrl.test(url) || URL.canParse(url), 'the host is not a valid name or IP address')
        .describe('URL of the EnOS API gateway: https://host, with optional port and base path.'),
      allowInsecureHTTP: z
        .boolean()
        .default(false)
        .describe('Must be true for an http:// URL (EnOS Edge): appKey and token then travel in clear.'),
      caRef: z
        .object({
          kind: z.enum(['Secret', 'ConfigMap']).describe('Kind of the object.'),
          name: secretName.describe('Name of the object, in the namespace of the resource.'),
          key: secretKey.default('ca.crt').describe('Key in the object.'),
        })
        .optional()
        .describe('CA certificates (PEM) to trust for this gateway, besides those of the system.'),
      timeout: callTimeout
        .default('10s')
        .describe(
          'Time allowed for one call, 100ms to 1m, from connecting (10s at most) to the whole answer. A renewal is a get, a refresh as a rule, and seldom more: each call has this time. It is less where the token’s remaining life demands it: a third of that, but not less than 1s on that account. Of resources with the same application, appSecret and CA the longest counts.',
        ),
    })
    .describe('The EnOS API gateway.'),
  'http:// needs allowInsecureHTTP: true',
  "self.allowInsecureHTTP || self.url.startsWith('https://')",
  (value) => value.allowInsecureHTTP || value.url.startsWith('https://'),
)

const targets = rule(
  z
    .array(target)
    .min(1)
    .max(16)
    .describe('The Secrets to write the token into.')
    .meta({
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
    }),
  'target names must be unique',
  'true',
  (list) => new Set(list.map(({ name }) => name)).size === list.length,
)

export const specSchema = rule(
  z
    .object({
      gateway,
      appKeyRef: secretKeyRef('appKey', 'The application’s access key.'),
      appSecretRef: secretKeyRef('appSecret', 'The application’s secret key.'),
      renewBefore: someTime
        .optional()
        .describe(
          'How long before expiry the token is renewed. More than half of its lifetime is taken as half, with an event. Default: 20 % of the lifetime, or 10m where that is more (24m for a token of 2 hours).',
        ),
      renewalMethod: z
        .enum(['Auto', 'Refresh', 'Get'])
        .default('Auto')
        .describe(
          'Refresh: renew before expiry. Get: fetch a new token as the old one expires. Auto: Refresh where the gateway has it.',
        ),
      verifyEvery: someTime
        .optional()
        .describe(
          'Ask the gateway this often whether the token is still the present one. Less than 10s is taken as 10s, for the gateway’s sake.',
        ),
      targets,
      propagation: z
        .enum(['Kubelet', 'Immediate'])
        .default('Kubelet')
        .describe(
          'Kubelet: running pods see the new token at the kubelet’s next sync. Immediate: pods that mount a target are touched, so that they see it at once. That is for new tokens: what else changes in a target (a template, the appSecret, the expiry of a token that was only prolonged) comes with the kubelet’s next sync.',
        ),
      restartOnRenewal: z
        .array(
          z.object({
            kind: z.enum(['Deployment', 'StatefulSet', 'DaemonSet']).describe('Kind of the workload.'),
            name: secretName.describe('Name of the workload, in the namespace of the resource.'),
          }),
        )
        .max(16)
        .optional()
        .describe(
          'Workloads to restart for each new token, for they read it from their environment. What else changes in a target (a template, the appSecret, the expiry of a token that was only prolonged) restarts nothing.',
        )
        .meta({ 'x-kubernetes-list-type': 'atomic' }),
      suspend: z
        .boolean()
        .default(false)
        .describe('Stop calling the gateway and writing targets. What is there stays.'),
    })
    .describe('What to keep fresh.'),
  'a target must not be one of the source Secrets, unless it is merged into it (creationPolicy Merge)',
  "self.targets.all(target, target.creationPolicy == 'Merge' || (target.name != self.appKeyRef.name && target.name != self.appSecretRef.name))",
  ({ appKeyRef, appSecretRef, targets: all }) =>
    all.every(
      ({ creationPolicy, name }) =>
        creationPolicy === 'Merge' || (name !== appKeyRef.name && name !== appSecretRef.name),
    ),
)

export type CredentialSpec = z.output<typeof specSchema>

/** Names longer than this are no label values, and targets carry the name as a label. */
export const maxNameLength = 63
