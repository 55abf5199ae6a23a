import { logFormats, logLevels } from '../lib/log.ts'
import { isGatewayPattern } from './allowed-gateways.ts'
import { type LabelSelector, parseLabelSelector } from './label-selector.ts'

/** `host` undefined: all interfaces. */
export interface BindAddress {
  readonly host: string | undefined
  /** 0: any free port. */
  readonly port: number
}

/** The value of a flag or variable is invalid. The message names what was expected. */
export class InvalidValueError extends Error {
  override readonly name = 'InvalidValueError'
}

/** One flag of `run`. */
export interface Flag {
  /** Without dashes. */
  readonly name: string
  /** Shown in the help; undefined for a switch. */
  readonly placeholder: string | undefined
  readonly description: string
  /** In the syntax of the command line. */
  readonly default: string
  readonly isList?: boolean
  /** @throws InvalidValueError */
  readonly parse: (text: string) => unknown
}

/** All flags of `run`, in the order of the help. */
export const runFlags = [
  {
    name: 'kubeconfig',
    placeholder: '<file>',
    description:
      'path to the kubeconfig (default: KUBECONFIG, else the service account of the pod, else ~/.kube/config)',
    default: '',
    parse: (text: string) => (text === '' ? undefined : text),
  },
  {
    name: 'context',
    placeholder: '<name>',
    description: 'context of the kubeconfig to use (default: its current-context)',
    default: '',
    parse: (text: string) => (text === '' ? undefined : text),
  },
  {
    name: 'namespace',
    placeholder: '<name>',
    description: 'namespace to watch; can be repeated (default: all namespaces)',
    default: '',
    isList: true,
    parse: parseNamespace,
  },
  {
    name: 'watch-label-selector',
    placeholder: '<selector>',
    description: 'label selector of the resources to work on, such as shard=a (default: all)',
    default: '',
    parse: (text: string) => (text.trim() === '' ? undefined : parseSelector(text)),
  },
  {
    name: 'metrics-bind-address',
    placeholder: '<address>',
    description: 'address of /metrics; 0 disables it, port 0 picks a free port and logs it',
    default: ':8080',
    parse: parseBindAddress,
  },
  {
    name: 'metrics-tls-cert-file',
    placeholder: '<file>',
    description:
      'certificate with its chain (PEM) to serve /metrics by TLS; read again when it changes (default: plain HTTP)',
    default: '',
    parse: (text: string) => (text === '' ? undefined : text),
  },
  {
    name: 'metrics-tls-key-file',
    placeholder: '<file>',
    description: 'private key (PEM) of --metrics-tls-cert-file',
    default: '',
    parse: (text: string) => (text === '' ? undefined : text),
  },
  {
    name: 'health-probe-bind-address',
    placeholder: '<address>',
    description: 'address of /healthz and /readyz; 0 disables them, port 0 picks a free port and logs it',
    default: ':8081',
    parse: parseBindAddress,
  },
  {
    name: 'leader-elect',
    placeholder: undefined,
    description:
      'elect a leader by a Lease, so that only one of several replicas is active; --no-leader-elect runs without, as --leader-elect=false does',
    default: 'true',
    parse: parseBoolean,
  },
  {
    name: 'leader-elect-namespace',
    placeholder: '<name>',
    description: 'namespace of the Lease (default: the namespace of the pod, else of the kubeconfig context)',
    default: '',
    parse: (text: string) => (text === '' ? undefined : parseNamespace(text)),
  },
  {
    name: 'leader-elect-lease-name',
    placeholder: '<name>',
    description: 'name of the Lease; each installation needs its own',
    default: 'enos-credential-operator',
    parse: parseNamespace,
  },
  {
    name: 'max-concurrent-reconciles',
    placeholder: '<number>',
    description: 'maximum number of resources reconciled at the same time',
    default: '64',
    parse: parseCount,
  },
  {
    name: 'gateway-max-concurrency',
    placeholder: '<number>',
    description: 'maximum number of calls to one gateway at the same time',
    default: '32',
    parse: parseCount,
  },
  {
    name: 'allowed-gateways',
    placeholder: '<pattern>',
    description: 'gateways that may be called: host[:port], *. for one or more labels; can be repeated (default: any)',
    default: '',
    isList: true,
    parse: parseGatewayPattern,
  },
  {
    name: 'log-level',
    placeholder: '<level>',
    description: `minimum level of log lines, one of ${logLevels.join(', ')}; debug tells each decision and each request`,
    default: 'info',
    parse: parseOneOf(logLevels),
  },
  {
    name: 'log-format',
    placeholder: '<format>',
    description: `format of log lines, one of ${logFormats.join(', ')}; pretty has colours on terminals, see NO_COLOR and FORCE_COLOR`,
    default: 'json',
    parse: parseOneOf(logFormats),
  },
] as const satisfies readonly Flag[]

export type FlagName = (typeof runFlags)[number]['name']

/** The environment variable of a flag: `metrics-bind-address` → `ENOS_METRICS_BIND_ADDRESS`. */
export function variableOf(flag: string): string {
  return `ENOS_${flag.toUpperCase().replaceAll('-', '_')}`
}

function parseBindAddress(text: string): BindAddress | undefined {
  if (text === '0') return undefined
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:]*):([0-9]{1,5})$/.exec(text)
  const [, host = '', port = ''] = match ?? []
  if (match === null || Number(port) > 65_535) {
    throw new InvalidValueError('expected [host]:port, such as :8080 or 127.0.0.1:8080, or 0')
  }
  return { host: host === '' ? undefined : host.replace(/^\[|\]$/g, ''), port: Number(port) }
}

function parseBoolean(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw new InvalidValueError('expected true or false')
  return text === 'true'
}

function parseCount(text: string): number {
  const count = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0
  if (count < 1 || count > 10_000) throw new InvalidValueError('expected a whole number from 1 to 10000')
  return count
}

function parseNamespace(text: string): string {
  if (!/^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(text)) {
    throw new InvalidValueError('expected a name of at most 63 lower-case letters, digits and -')
  }
  return text
}

function parseSelector(text: string): LabelSelector {
  const selector = parseLabelSelector(text)
  if (selector === undefined) {
    throw new InvalidValueError('expected a label selector, such as shard=a or shard in (a,b),!legacy')
  }
  return selector
}

function parseGatewayPattern(text: string): string {
  if (!isGatewayPattern(text)) {
    throw new InvalidValueError('expected host or host:port, such as apim.example.com or *.example.com:8443')
  }
  return text
}

function parseOneOf<const T extends readonly string[]>(choices: T): (text: string) => T[number] {
  return (text) => {
    if (!choices.includes(text)) throw new InvalidValueError(`expected one of ${choices.join(', ')}`)
    return text
  }
}
