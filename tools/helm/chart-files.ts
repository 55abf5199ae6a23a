import { readFileSync } from 'node:fs'
import { parseAllDocuments, stringify } from 'yaml'
import { z } from 'zod'
import { rulesFile } from '../../monitoring/rules.ts'
import { customResourceDefinition } from '../../src/api/v1alpha1/crd.ts'
import { admissionPolicies } from '../admission-policy.ts'
import { kubernetesRange } from '../kubernetes-range.ts'
import { home } from '../published.ts'
import { code, page, table } from '../reference.ts'
import { valuesSchema } from './values-schema.ts'

/** Generates the files of the chart, and the reference of its values. */

const root = new URL('../../', import.meta.url)
const schemaSource = 'tools/helm/values-schema.ts'

/** The part of JSON schema that zod makes of the values. */
export interface ValueSchema {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly string[]
  readonly anyOf?: readonly ValueSchema[]
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly minItems?: number
  readonly items?: ValueSchema
  readonly properties?: Readonly<Record<string, ValueSchema>>
  readonly additionalProperties?: boolean | ValueSchema
}

/** A value without values below it. */
export interface Leaf {
  readonly path: readonly string[]
  readonly schema: ValueSchema
  /** undefined: none. */
  readonly default: unknown
}

export function valuesJsonSchema(): ValueSchema {
  const schema = z.toJSONSchema(valuesSchema, { target: 'draft-7', io: 'input', unrepresentable: 'throw' })
  return tidy(schema) as ValueSchema
}

/** Without zod's bounds of a double, and without the defaults of objects: helm takes no defaults from a schema. */
function tidy(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(tidy)
  if (typeof node !== 'object' || node === null) return node
  const isObject = 'properties' in node
  const entries = Object.entries(node).filter(
    ([key, value]) => !(Math.abs(Number(value)) === Number.MAX_SAFE_INTEGER || (isObject && key === 'default')),
  )
  return Object.fromEntries(entries.map(([key, value]) => [key, key === 'default' ? (value as unknown) : tidy(value)]))
}

export function leavesOf(schema: ValueSchema, path: readonly string[] = []): Leaf[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, below]) =>
    below.properties === undefined
      ? [{ path: [...path, name], schema: below, default: below.default }]
      : leavesOf(below, [...path, name]),
  )
}

export function valuesSchemaFile(): string {
  return `${JSON.stringify({ $comment: generatedFrom(schemaSource), ...valuesJsonSchema() }, undefined, 2)}\n`
}

/** values.yaml: every value with its default, and its description as a comment. */
export function valuesFile(): string {
  const lines = [`# ${generatedFrom(schemaSource)}`, '']
  for (const [name, schema] of Object.entries(valuesJsonSchema().properties ?? {})) {
    lines.push(...valueLines(name, schema), '')
  }
  return lines.join('\n')
}

function valueLines(name: string, schema: ValueSchema): string[] {
  const comment = wrapped(schema.description ?? '', 110).map((line) => `# ${line}`)
  const choices =
    schema.enum === undefined ? [] : [`# One of ${schema.enum.map((one) => JSON.stringify(one)).join(', ')}.`]
  const head = [...comment, ...choices]
  if (schema.properties !== undefined) {
    const below = Object.entries(schema.properties).flatMap(([key, one]) => valueLines(key, one))
    return [...head, `${name}:`, ...below.map((line) => `  ${line}`)]
  }
  if (schema.default === undefined) return [...head, `# ${name}:`]
  return [
    ...head,
    ...stringify({ [name]: schema.default }, { lineWidth: 0 })
      .trimEnd()
      .split('\n'),
  ]
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last === undefined || last.length + word.length >= width) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}

/** docs/reference/values.md. */
export function valuesPage(): string {
  const schema = valuesJsonSchema()
  const rows = Object.entries(schema.properties ?? {}).flatMap(([name, one]) => rowsOf(name, one))
  return page(
    schemaSource,
    'Values of the chart',
    'Values of `deploy/helm/enos-credential-operator`, with the names of the charts of cert-manager and external-secrets. A value that is not in this list, or of another type, is refused. Fields of Kubernetes (`object`, `list`) are checked by the API server.',
    table(['value', 'type', 'default', 'meaning'], rows),
  )
}

function rowsOf(path: string, schema: ValueSchema): string[][] {
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, one]) => rowsOf(`${path}.${name}`, one))
  const isGroup = schema.properties !== undefined
  const initial = schema.default === undefined ? '' : code(JSON.stringify(schema.default))
  return [[code(path), isGroup ? '' : typeOf(schema), initial, schema.description ?? ''], ...below]
}

function typeOf({ anyOf, enum: choices, type }: ValueSchema): string {
  if (choices !== undefined) {
    return choices
      .filter((choice) => choice !== '')
      .map(code)
      .join(', ')
  }
  if (anyOf !== undefined) return anyOf.map(typeOf).join(' or ')
  return type === 'array' ? 'list' : (type ?? '')
}

/** Chart.yaml. */
export function chartFile(): string {
  const { description, version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
    readonly description: string
    readonly version: string
  }
  const chart = {
    apiVersion: 'v2',
    name: 'enos-credential-operator',
    description,
    type: 'application',
    version,
    appVersion: version,
    kubeVersion: `>=${kubernetesRange().oldest}.0-0`,
    home,
    sources: [home],
    keywords: ['enos', 'access-token', 'secrets', 'operator'],
    annotations: { 'artifacthub.io/license': 'Apache-2.0', 'artifacthub.io/operator': 'true' },
  }
  return yamlFile('package.json', chart)
}

export function crdFile(): string {
  return yamlFile('src/api/v1alpha1/schema.ts', customResourceDefinition())
}

export function admissionPoliciesFile(): string {
  return yamlFile('tools/admission-policy.ts', admissionPolicies())
}

export function prometheusRulesFile(): string {
  return yamlFile('monitoring/rules.ts', rulesFile())
}

interface RbacObject {
  readonly kind: string
  readonly rules?: unknown
}

/** The rules of the manifests for kustomize, so that chart and manifests cannot differ. */
export function rbacFile(): string {
  return yamlFile('the manifests in deploy/', {
    operator: rulesIn('cluster-role.yaml'),
    leaderElection: rulesIn('base/leader-election.yaml'),
    propagation: rulesIn('components/consumers/propagation/cluster-role.yaml'),
    restarts: rulesIn('components/consumers/restarts/cluster-role.yaml'),
    mergeCleanup: rulesIn('namespaced/merge-cleanup/cluster-role.yaml'),
    users: objectsIn('api/user-roles.yaml'),
  })
}

function objectsIn(file: string): RbacObject[] {
  const text = readFileSync(new URL(`deploy/${file}`, root), 'utf8')
  return parseAllDocuments(text).map((document) => document.toJS() as RbacObject)
}

/** The rules of the one role in a file. */
function rulesIn(file: string): unknown {
  const [role, ...others] = objectsIn(file).filter(({ rules }) => rules !== undefined)
  if (role === undefined || others.length > 0) throw new Error(`deploy/${file}: expected one role`)
  return role.rules
}

function yamlFile(source: string, content: unknown): string {
  return `# ${generatedFrom(source)}\n${stringify(content, { lineWidth: 0, aliasDuplicateObjects: false })}`
}

function generatedFrom(source: string): string {
  return `Generated by tools/generate.ts from ${source}. Do not edit.`
}
