import { logFormats, logLevels } from '../lib/log.ts'
import { isGatewayPattern } from './allowed-gateways.ts'

/** `host` undefined: all interfaces. */
export interface BindAddress {
  readonly host: string | undefined
  /** 0: any free port. */
  readonly port: number
}

/** A value that a flag or variable cannot have; the message says what was expected. */
export class InvalidValueError extends Error {
  override readonly name = 'InvalidValueError'
}

/** One flag of `run`. The variable of the same meaning is `ENOS_` and the name in capitals. */
export interface Flag {
  /** Without dashes. */
  readonly name: string
  /** For the help; undefined for a switch. */
  readonly placeholder: string | undefined
  readonly description: string
  /** As it would be typed. */
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
    description: 'kubeconfig to use; else KUBECONFIG, else the service account of the pod, else ~/.kube/config',
    default: '',
    parse: (text: string) => (text === '' ? undefined : text),
  },
  {
    name: 'namespace',
    placeholder: '<name>',
    description: 'watch this namespace only; may be given several times (default: all namespaces)',
    default: '',
    isList: true,
    parse: namespaceOf,
  },
  {
    name: 'metrics-bind-address',
    placeholder: '<address>',
    description: 'where metrics are served; 0 disables, port 0 picks a free one and logs it',
    default: ':8080',
    parse: bindAddressOf,
  },
  {
    name: 'health-probe-bind-address',
    placeholder: '<address>',
    description: 'where /healthz and /readyz are served; 0 disables',
    default: ':8081',
    parse: bindAddressOf,
  },
  {
    name: 'leader-elect',
    placeholder: undefined,
    description: 'work only while holding the Lease, so that several replicas can run',
    default: 'true',
    parse: booleanOf,
  },
  {
    name: 'leader-elect-namespace',
    placeholder: '<name>',
    description: 'namespace of the Lease (default: the namespace of the pod, or of the kubeconfig context)',
    default: '',
    parse: (text: string) => (text === '' ? undefined : namespaceOf(text)),
  },
  {
    name: 'leader-elect-lease-name',
    placeholder: '<name>',
    description: 'name of the Lease',
    default: 'enos-credential-operator',
    parse: namespaceOf,
  },
  {
    name: 'max-concurrent-reconciles',
    placeholder: '<number>',
    description: 'resources that are worked on side by side',
    default: '64',
    parse: countOf,
  },
  {
    name: 'gateway-max-concurrency',
    placeholder: '<number>',
    description: 'calls under way to one gateway',
    default: '32',
    parse: countOf,
  },
  {
    name: 'allowed-gateways',
    placeholder: '<pattern>',
    description:
      'gateways that may be called: host[:port], *. for one or more labels; may be given several times (default: any)',
    default: '',
    isList: true,
    parse: gatewayPatternOf,
  },
  {
    name: 'log-level',
    placeholder: '<level>',
    description: `one of ${logLevels.join(', ')}`,
    default: 'info',
    parse: oneOf(logLevels),
  },
  {
    name: 'log-format',
    placeholder: '<format>',
    description: `one of ${logFormats.join(', ')}`,
    default: 'json',
    parse: oneOf(logFormats),
  },
] as const satisfies readonly Flag[]

export type FlagName = (typeof runFlags)[number]['name']

/** The environment variable of a flag: `metrics-bind-address` → `ENOS_METRICS_BIND_ADDRESS`. */
export function variableOf(flag: string): string {
  return `ENOS_${flag.toUpperCase().replaceAll('-', '_')}`
}

function bindAddressOf(text: string): BindAddress | undefined {
  if (text === '0') return undefined
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:]*):([0-9]{1,5})$/.exec(text)
  const [, host = '', port = ''] = match ?? []
  if (match === null || Number(port) > 65_535) {
    throw new InvalidValueError('expected [host]:port, such as :8080 or 127.0.0.1:8080, or 0')
  }
  return { host: host === '' ? undefined : host.replace(/^\[|\]$/g, ''), port: Number(port) }
}

function booleanOf(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw new InvalidValueError('expected true or false')
  return text === 'true'
}

function countOf(text: string): number {
  const count = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0
  if (count < 1 || count > 10_000) throw new InvalidValueError('expected a whole number from 1 to 10000')
  return count
}

function namespaceOf(text: string): string {
  if (!/^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(text)) {
    throw new InvalidValueError('expected a name of at most 63 lower-case letters, digits and -')
  }
  return text
}

function gatewayPatternOf(text: string): string {
  if (!isGatewayPattern(text))
    throw new InvalidValueError('expected host or host:port, such as apim.example.com or *.example.com:8443')
  return text
}

function oneOf<const T extends readonly string[]>(choices: T): (text: string) => T[number] {
  return (text) => {
    if (!choices.includes(text)) throw new InvalidValueError(`expected one of ${choices.join(', ')}`)
    return text
  }
}
