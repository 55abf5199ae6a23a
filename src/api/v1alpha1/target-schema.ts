import { z } from 'zod'
import { celPattern, matching, rule } from './cel-rules.ts'
import { objectNameSchema } from './field-schemas.ts'

const qualifiedName = /^(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const reservedDomain = /(?:^|\.)(?:kubernetes\.io|k8s\.io|enos\.io)\//
const reservedDomainCel = "key.matches('(^|[.])(kubernetes[.]io|k8s[.]io|enos[.]io)/')"

function metadataMap(kind: 'label' | 'annotation', value: z.ZodString) {
  const map = z
    .record(z.string().max(317), value)
    .refine((entries) => Object.keys(entries).length <= 32, 'must have at most 32 entries')
  const named = rule(
    map.meta({ maxProperties: 32 }),
    `${kind} keys must be an optional domain and a name of at most 63 characters: example.com/name`,
    `self.all(key, key.size() <= 317 && key.matches('${celPattern(qualifiedName)}'))`,
    (entries) => Object.keys(entries).every((key) => qualifiedName.test(key)),
  )
  return rule(
    named,
    `${kind} keys under kubernetes.io, k8s.io and enos.io are reserved`,
    `self.all(key, !${reservedDomainCel})`,
    (entries) => Object.keys(entries).every((key) => !reservedDomain.test(key)),
  )
}

const labelValue = matching(
  z.string().max(63),
  /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/,
  'expected a label value: letters, digits, -, _ and ., with a letter or digit at both ends, at most 63 characters',
)

const templates = rule(
  rule(
    z
      .record(z.string().max(253), z.string().max(16_384))
      .refine((data) => Object.keys(data).length >= 1 && Object.keys(data).length <= 64, 'must have 1 to 64 keys')
      .meta({ minProperties: 1, maxProperties: 64 }),
    'keys must consist of letters, digits, -, _ and ., at most 253 characters',
    "self.all(key, key.size() <= 253 && key.matches('^[-._a-zA-Z0-9]+$'))",
    (data) => Object.keys(data).every((key) => /^[-._a-zA-Z0-9]{1,253}$/.test(key)),
  ),
  'keys must not be . or .. or start with ..',
  "self.all(key, key != '.' && !key.startsWith('..'))",
  (data) => Object.keys(data).every((key) => key !== '.' && !key.startsWith('..')),
)

/** Whether Secrets of a type belong to Kubernetes or Helm: no target has such a type, and none is adopted. */
export function isReservedType(type: string): boolean {
  return /(?:^|\.)(?:kubernetes\.io|helm\.sh)\//.test(type)
}

const secretType = rule(
  z.string().min(1).max(253),
  'types under kubernetes.io/ and helm.sh/ are reserved',
  "!self.matches('(^|[.])(kubernetes[.]io|helm[.]sh)/')",
  (type) => !isReservedType(type),
)

const targetSchema = rule(
  z
    .object({
      name: objectNameSchema.describe('Name of the Secret, in the namespace of this resource.'),
      type: secretType
        .optional()
        .describe(
          'Type of the Secret, at most 253 characters; not under kubernetes.io/ or helm.sh/. After a change the operator deletes and recreates the Secret. Not allowed with creationPolicy Merge. Default: Opaque.',
        ),
      labels: metadataMap('label', labelValue)
        .optional()
        .describe(
          'Labels of the Secret, at most 32. Keys under kubernetes.io, k8s.io and enos.io are reserved. Not allowed with creationPolicy Merge. Default: none.',
        ),
      annotations: metadataMap('annotation', z.string().max(16_384))
        .optional()
        .describe(
          'Annotations of the Secret, at most 32, each value at most 16384 characters. Keys under kubernetes.io, k8s.io and enos.io are reserved. Not allowed with creationPolicy Merge. Default: none.',
        ),
      data: templates
        .default({ accessToken: '{{ accessToken }}', expiresAt: '{{ expiresAt }}' })
        .describe(
          'Keys of the Secret and the template of each value: 1 to 64 keys, each template at most 16384 characters. A template has Liquid outputs and filters, and no tags. Variables: accessToken, appKey, appSecret, gatewayUrl, expiresAt, expiresAtUnix (seconds), issuedAt, name, namespace. Filters: base64_encode, json, url_encode, and those of Liquid. Default: accessToken and expiresAt, each with the variable of that name.',
        ),
      creationPolicy: z
        .enum(['Owner', 'Merge'])
        .default('Owner')
        .describe(
          'Owner: the operator creates the Secret and owns it. Merge: the Secret must exist, and the operator writes the keys of data into it. Default: Owner.',
        ),
      deletionPolicy: z
        .enum(['Delete', 'Retain'])
        .default('Delete')
        .describe(
          'Whether the Secret (creationPolicy Owner) or the keys of data (Merge) are deleted or retained when this resource is deleted. With Merge and Delete, this resource has a finalizer until the keys are removed: where the operator runs in the same namespace, delete the resource before the namespace. Default: Delete.',
        ),
    })
    .describe('A Secret that holds the token.'),
  'type, labels and annotations must not be set with creationPolicy Merge: the operator does not own that Secret',
  "!has(self.creationPolicy) || self.creationPolicy != 'Merge' || (!has(self.type) && !has(self.labels) && !has(self.annotations))",
  (value) =>
    value.creationPolicy !== 'Merge' ||
    (value.type === undefined && value.labels === undefined && value.annotations === undefined),
)

export const targetsSchema = z
  .array(targetSchema)
  .min(1)
  .max(16)
  // In the CRD the list type says it.
  .refine((list) => new Set(list.map(({ name }) => name)).size === list.length, 'target names must be unique')
  .describe('Secrets to write the token into, 1 to 16, each name once.')
  .meta({
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
  })
