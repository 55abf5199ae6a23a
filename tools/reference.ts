import { customResourceDefinition } from '../src/api/v1alpha1/crd.ts'
import { annotations, labels, mergeFinalizer } from '../src/api/v1alpha1/names.ts'
import { reasons } from '../src/api/v1alpha1/reasons.ts'
import { runFlags, variableOf } from '../src/config/flags.ts'
import { Metrics } from '../src/telemetry/metrics.ts'

/** The pages of docs/reference, from the code. */

interface Schema {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly string[]
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema
  readonly items?: Schema
  readonly minItems?: number
  readonly maxItems?: number
  readonly maxLength?: number
  readonly maxProperties?: number
  readonly 'x-kubernetes-validations'?: readonly { readonly message: string }[]
}

export function reasonsPage(): string {
  return page(
    'src/api/v1alpha1/reasons.ts',
    'Reasons',
    'The reasons of conditions and events: what they mean, and what to do.',
    table(
      ['reason', 'meaning', 'what to do'],
      Object.entries(reasons).map(([reason, { meaning, whatToDo }]) => [code(reason), meaning, whatToDo]),
    ),
  )
}

export function flagsPage(): string {
  return page(
    'src/config/flags.ts',
    'Flags of `run`',
    'Each flag can be set by an environment variable instead; a flag that is typed goes first. Lists are separated by commas in variables. `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are respected for calls to gateways.',
    table(
      ['flag', 'variable', 'default', 'meaning'],
      runFlags.map((flag) => [
        code(`--${flag.name}${flag.placeholder === undefined ? '' : ` ${flag.placeholder}`}`),
        code(variableOf(flag.name)),
        flag.default === '' ? '' : code(flag.default),
        flag.description,
      ]),
    ),
  )
}

export function metricsPage(): string {
  const metrics = new Metrics({ version: '', leaseName: '' })
  metrics.connect({ credentials: () => [], gateways: () => [], queues: () => [] })
  const own = metrics.register
    .getMetricsAsArray()
    .filter(({ name }) => !/^(?:process|nodejs)_/.test(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  // prom-client keeps the type and the labels of a metric to itself; its exposition tells them only with samples.
  const rows = own.map((metric) => {
    const { name, help, labelNames = [] } = metric as typeof metric & { labelNames?: readonly string[] }
    return [code(name), metric.constructor.name.toLowerCase(), labelNames.map(code).join(', '), help]
  })
  return page(
    'src/telemetry',
    'Metrics',
    'Served at `/metrics`. What is told of a resource is computed at each scrape: no series outlives its object, and what is not known is absent. Beside these there are the `process_*` and `nodejs_*` of prom-client.',
    table(['metric', 'type', 'labels', 'meaning'], rows),
  )
}

export function resourcePage(): string {
  const crd = customResourceDefinition() as unknown as {
    spec: { versions: [{ schema: { openAPIV3Schema: { properties: { spec: Schema; status: Schema } } } }] }
  }
  const { spec, status } = crd.spec.versions[0].schema.openAPIV3Schema.properties
  const header = ['field', 'type', 'default', 'meaning']
  return page(
    'src/api/v1alpha1/schema.ts',
    'EnosAppCredential',
    '`enos.io/v1alpha1`; short name `eac`. The same is said by `kubectl explain enosappcredential.spec --recursive`.',
    '## spec',
    'Fields in bold are required. Durations are like `10s`, `5m`, `1h30m`.',
    table(header, rowsOf('', spec)),
    ...rulesOf('spec', spec),
    '## status',
    table(header, rowsOf('', status)),
    '## Names',
    table(
      ['where', 'name', 'meaning'],
      [
        ['label of targets', code(labels.managedBy), 'the operator'],
        ['label of targets', code(labels.credential), 'name of the resource'],
        ['annotation of targets', code(annotations.expiresAt), 'when the token expires'],
        ['annotation of targets', code(annotations.issuedAt), 'when it was first received'],
        [
          'annotations of retained targets',
          `${code(annotations.retainedCredential)}, ${code(annotations.retainedCredentialUid)}`,
          'the resource that wrote a Secret which outlives it',
        ],
        ['annotation of the resource', code(annotations.renewRequestedAt), 'any new value renews now'],
        [
          'annotation of pod templates',
          '`enos.io/restarted-for-<uid>`',
          'the token that a workload was restarted for (`restartOnRenewal`)',
        ],
        [
          'annotation of pods',
          code(annotations.tokenFingerprint),
          'tells the kubelet of a new token (`propagation: Immediate`)',
        ],
        [
          'finalizer of the resource',
          code(mergeFinalizer),
          'while there are keys to take out of Secrets that are not ours',
        ],
      ],
    ),
  )
}

function page(source: string, title: string, ...parts: string[]): string {
  return [`<!-- Generated by tools/generate.ts from ${source}. Do not edit. -->`, `# ${title}`, ...parts, ''].join(
    '\n\n',
  )
}

function rowsOf(path: string, { properties = {}, required = [] }: Schema): string[][] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    const field = path === '' ? name : `${path}.${name}`
    const isRequired = required.includes(name) && schema.default === undefined
    const inner = schema.items ?? schema
    const below = inner.properties === undefined ? [] : rowsOf(schema.items === undefined ? field : `${field}[]`, inner)
    const row = [
      isRequired ? `**${code(field)}**` : code(field),
      typeOf(schema),
      schema.default === undefined ? '' : code(JSON.stringify(schema.default).replace(/^"(.*)"$/, '$1')),
      schema.description ?? inner.description ?? '',
    ]
    return [row, ...below]
  })
}

function typeOf(schema: Schema): string {
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ')
  if (schema.items !== undefined) return `list${atMost(schema.maxItems)}`
  if (schema.additionalProperties !== undefined) return `map${atMost(schema.maxProperties)}`
  return schema.type ?? ''
}

function atMost(limit: number | undefined): string {
  return limit === undefined ? '' : `, at most ${limit}`
}

/** What the API server checks beyond types, as its messages say it. */
function rulesOf(path: string, schema: Schema): string[] {
  const messages = messagesOf(path, schema)
  return ['The API server refuses what breaks one of these:', messages.map((message) => `- ${message}`).join('\n')]
}

function messagesOf(path: string, schema: Schema): string[] {
  const own = (schema['x-kubernetes-validations'] ?? []).map(({ message }) => `${code(path)}: ${message}`)
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, one]) => messagesOf(`${path}.${name}`, one))
  const items = schema.items === undefined ? [] : messagesOf(`${path}[]`, schema.items)
  return [...own, ...below, ...items]
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

function code(text: string): string {
  return `\`${text}\``
}
