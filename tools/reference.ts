import { otherActionReasons, writeReasons } from '../src/api/v1alpha1/action-reasons.ts'
import { customResourceDefinition } from '../src/api/v1alpha1/crd.ts'
import { annotations, labels, managedBy, mergeFinalizer } from '../src/api/v1alpha1/names.ts'
import { reasons } from '../src/api/v1alpha1/reasons.ts'
import { maxNameLength } from '../src/api/v1alpha1/schema.ts'
import { runFlags, variableOf } from '../src/config/flags.ts'
import { credentialMetrics } from '../src/telemetry/credential-metrics.ts'
import { Metrics } from '../src/telemetry/metrics.ts'

/** Generates the pages of docs/reference from the code. */

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
    'The reasons of conditions and events: what each is about, what it means and what to do. RenewalHealthy tells of sources, gateway and token only: it is False for the reasons about the token, Unknown while the spec is not valid (no token is asked for then), and Ready tells of targets. A target that could not be written though its old token is still valid is told by Reconciling or Stalled, beside Ready=True.',
    table(
      ['reason', 'about', 'meaning', 'what to do'],
      Object.entries(reasons).map(([reason, { about, meaning, whatToDo }]) => [
        // Alerts and dashboard link to a reason as the metric has it.
        `<a id="${reason}"></a>${code(reason)}`,
        about,
        meaning,
        whatToDo,
      ]),
    ),
  )
}

export function actionReasonsPage(): string {
  const rows = (of: Readonly<Record<string, string>>): string[][] =>
    Object.entries(of).map(([reason, meaning]) => [code(reason), meaning])
  return page(
    'src/api/v1alpha1/action-reasons.ts',
    'Reasons of actions',
    'Why the operator acts: each reason says what was observed. The log line `reconciled` carries them all; an action that follows from a condition has the reason of that condition ([reasons](reasons.md)).',
    '## Writes of targets',
    'Also in `status.targets[].lastWrite` and in `enos_credential_target_writes_total`.',
    table(['reason', 'meaning'], rows(writeReasons)),
    '## Other actions',
    table(['reason', 'meaning'], rows(otherActionReasons)),
  )
}

export function flagsPage(): string {
  return page(
    'src/config/flags.ts',
    'Flags of `run`',
    'Each flag can be set by an environment variable instead; the flag takes precedence. Lists in variables are separated by commas. Calls to gateways use the proxies in `HTTPS_PROXY` (for https://) and `HTTP_PROXY` (for http://), except to hosts in `NO_PROXY`: names, suffixes, `*`, addresses and networks such as `10.0.0.0/8`. Variables in lower case take precedence. Calls to the API server use `proxy-url` of the kubeconfig only; the other commands use the variables for them too, and read `ENOS_KUBECONFIG` and `ENOS_CONTEXT`.',
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
  const metrics = new Metrics({ version: '', leaseName: '', logOutput: { droppedLines: 0 } })
  metrics.connect({
    credentials: () => [],
    hasCredential: () => false,
    gateways: () => [],
    queues: () => [],
    watches: () => [],
  })
  // prom-client has no public property for the type and labels of a metric; its exposition has them only with samples.
  const ofProcess = metrics.register.getMetricsAsArray().map((metric) => {
    const { name, help, labelNames = [] } = metric as typeof metric & { labelNames?: readonly string[] }
    return { name, help, type: metric.constructor.name.toLowerCase(), labelNames }
  })
  const perResource = credentialMetrics.map(({ moreLabels, ...metric }) => {
    return { ...metric, labelNames: ['namespace', 'name', ...moreLabels] }
  })
  const rows = [...ofProcess, ...perResource]
    .filter(({ name }) => !/^(?:process|nodejs)_/.test(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ help, labelNames, name, type }) => [code(name), type, labelNames.map(code).join(', '), help])
  return page(
    'src/telemetry',
    'Metrics',
    'Served at `/metrics`. The series of a resource are computed at each scrape: they end with the resource, and unknown values are absent. In addition, prom-client provides `process_*` and `nodejs_*`.',
    table(['metric', 'type', 'labels', 'meaning'], rows),
  )
}

export function resourcePage(): string {
  const crd = customResourceDefinition() as unknown as {
    spec: { versions: [{ schema: { openAPIV3Schema: { properties: { spec: Schema; status: Schema } } } }] }
  }
  const { spec, status } = crd.spec.versions[0].schema.openAPIV3Schema.properties
  const header = ['field', 'type', 'meaning']
  return page(
    'src/api/v1alpha1/schema.ts',
    'EnosAppCredential',
    '`enos.io/v1alpha1`; short name `eac`. `kubectl explain enosappcredential.spec --recursive` shows the same fields.',
    '## spec',
    `Fields in bold are required. Durations look like \`10s\`, \`5m\`, \`1h30m\`, with the units ms, s, m and h. \`metadata.name\` has at most ${maxNameLength} characters, because targets carry it as a label.`,
    table(header, rowsOf('', spec)),
    ...rulesOf('spec', spec),
    '## status',
    table(header, rowsOf('', status)),
    '## Names',
    table(
      ['where', 'name', 'meaning'],
      [
        ['label of targets', code(labels.managedBy), `always \`${managedBy}\``],
        ['label of targets', code(labels.credential), 'name of the resource'],
        ['annotation of targets', code(annotations.expiresAt), 'time when the token expires (RFC 3339, UTC)'],
        ['annotation of targets', code(annotations.issuedAt), 'time when the token was first received (RFC 3339, UTC)'],
        [
          'annotations of retained targets',
          `${code(annotations.retainedCredential)}, ${code(annotations.retainedCredentialUid)}`,
          'name and uid of the resource that wrote the Secret',
        ],
        ['annotation of other Secrets', code(annotations.adopt), 'name of the resource that may adopt the Secret'],
        ['annotation of the resource', code(annotations.renewRequestedAt), 'any new value requests a renewal'],
        [
          'annotation of workloads and their pod templates',
          '`enos.io/restarted-for-<uid>`',
          'fingerprint of the token that the workload was restarted for (`restartOnRenewal`)',
        ],
        [
          'annotation of pods',
          code(annotations.tokenFingerprint),
          'fingerprint of the token; the change makes the kubelet sync the pod (`propagation: Immediate`)',
        ],
        [
          'finalizer of the resource',
          code(mergeFinalizer),
          'holds the deletion until its keys are removed from Secrets that it does not own',
        ],
      ],
    ),
  )
}

export function page(source: string, title: string, ...parts: string[]): string {
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

/** The rules that the API server checks beyond types and bounds, as its messages state them. */
function rulesOf(path: string, schema: Schema): string[] {
  const fieldsOf = Map.groupBy(rulesBelow(path, schema), ({ message }) => message)
  const lines = [...fieldsOf].map(
    ([message, rules]) => `- ${rules.map(({ field }) => code(field)).join(', ')}: ${message}`,
  )
  return ['The API server also checks:', lines.join('\n')]
}

function rulesBelow(path: string, schema: Schema): { readonly field: string; readonly message: string }[] {
  const own = (schema['x-kubernetes-validations'] ?? []).map(({ message }) => ({ field: path, message }))
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, one]) => rulesBelow(`${path}.${name}`, one))
  const items = schema.items === undefined ? [] : rulesBelow(`${path}[]`, schema.items)
  const values = schema.additionalProperties === undefined ? [] : rulesBelow(`${path}.*`, schema.additionalProperties)
  return [...own, ...below, ...items, ...values]
}

export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

export function code(text: string): string {
  return `\`${text}\``
}
