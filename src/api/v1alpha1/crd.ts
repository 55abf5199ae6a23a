import { z } from 'zod'
import { apiVersion, group, kind, plural, version } from './names.ts'
import { maxNameLength, specSchema } from './schema.ts'
import { statusSchema, unobservedGeneration } from './status-schema.ts'

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** Makes the CustomResourceDefinition from the zod schemas. */
export function customResourceDefinition(): Json {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames: ['eac'],
        categories: ['enos'],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: printerColumns(),
          schema: {
            openAPIV3Schema: {
              description: `${kind} keeps an EnOS access token fresh in Secrets. API version: ${apiVersion}.`,
              type: 'object',
              required: ['spec'],
              properties: {
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: { type: 'object' },
                spec: structural(specSchema),
                // Without it, kstatus (Flux, kpt) takes a resource without a status for a current one.
                status: { ...structural(statusSchema), default: { observedGeneration: unobservedGeneration } },
              },
              'x-kubernetes-validations': [
                {
                  rule: `self.metadata.name.size() <= ${maxNameLength}`,
                  message: `metadata.name: must be at most ${maxNameLength} characters`,
                },
              ],
            },
          },
        },
      ],
    },
  }
}

function printerColumns(): Json[] {
  return [
    column('Ready', ".status.conditions[?(@.type=='Ready')].status"),
    column('Reason', ".status.conditions[?(@.type=='Ready')].reason"),
    column('Renewal', ".status.conditions[?(@.type=='RenewalHealthy')].status"),
    // kubectl shows <invalid> for a time in the future in a column of type date.
    column('Expires', '.status.expiresAt'),
    column('Next renewal', '.status.nextRenewalAt'),
    // kubectl shows only the first match of a path, so a list needs a text.
    column('Targets', '.status.targetNames', 1),
    column('Gateway', '.spec.gateway.url', 1),
    // A deletion that waits for a finalizer.
    column('Deleted', '.metadata.deletionTimestamp', 1),
    column('Renewal reason', ".status.conditions[?(@.type=='RenewalHealthy')].reason", 1),
    column('Stalled', ".status.conditions[?(@.type=='Stalled')].reason", 1),
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ]
}

function column(name: string, jsonPath: string, priority = 0): Json {
  return { name, type: 'string', jsonPath, ...(priority === 0 ? {} : { priority }) }
}

function structural(schema: z.ZodType): { [key: string]: Json } {
  const json = z.toJSONSchema(schema, {
    target: 'openapi-3.0',
    io: 'input',
    reused: 'inline',
    cycles: 'throw',
    unrepresentable: 'throw',
  })
  return clean(json as Json) as { [key: string]: Json }
}

/** Keywords of JSON schema that a structural schema of Kubernetes must not have. */
const notStructural = new Set(['$schema', 'additionalProperties', 'propertyNames', 'allOf'])
/** zod bounds integers by the range of a double; the CRD says int64. */
const boundsOfDouble = new Set([Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])

/**
 * @param isInList in an item of a list. Items have no defaults: tools that merge custom resources as plain JSON replace
 *   lists as a whole, so they would see a difference for ever. The operator applies these defaults (parseSpec).
 */
function clean(node: Json, isInList = false): Json {
  if (Array.isArray(node)) return node.map((item) => clean(item, isInList))
  if (node === null || typeof node !== 'object') return node
  const cleaned: { [key: string]: Json } = {}
  for (const [key, value] of Object.entries(node)) {
    const kept = cleanKeyword(key, value, isInList)
    if (kept !== undefined) cleaned[key] = kept
  }
  if (cleaned['type'] === 'integer') cleaned['format'] = 'int64'
  return cleaned
}

/** @returns undefined where the CRD leaves the keyword out */
function cleanKeyword(key: string, value: Json, isInList: boolean): Json | undefined {
  switch (key) {
    case 'properties': {
      const properties = Object.entries(value as { [key: string]: Json })
      return Object.fromEntries(properties.map(([name, property]) => [name, clean(property, isInList)]))
    }
    case 'default':
      return isInList ? undefined : value
    case 'x-kubernetes-validations':
      return value
  }
  if (key === 'additionalProperties' && typeof value === 'object') return clean(value, isInList)
  if (notStructural.has(key) || (typeof value === 'number' && boundsOfDouble.has(value))) return undefined
  return clean(value, isInList || key === 'items')
}
