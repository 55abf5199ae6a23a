import type { LogFormat, LogLevel } from '../lib/log.ts'
import { type BindAddress, type Flag, type FlagName, InvalidValueError, runFlags, variableOf } from './flags.ts'
import type { LabelSelector } from './label-selector.ts'
import { parseLogColours } from './log-colours.ts'
import { type MisspelledVariable, misspelledVariables } from './misspelled-variables.ts'
import { parseProxyConfig, type ProxyConfig } from './proxy.ts'

/** Environment variables that locate the API server. */
export interface KubeconfigEnvironment {
  /** Files, separated by `:`. Merged as kubectl does: the first file that sets a value wins. */
  readonly KUBECONFIG?: string | undefined
  /** Set in every pod. */
  readonly KUBERNETES_SERVICE_HOST?: string | undefined
  /** Default: 443. */
  readonly KUBERNETES_SERVICE_PORT?: string | undefined
  readonly HOME?: string | undefined
  /** All variables: exec plugins inherit them. */
  readonly [name: string]: string | undefined
}

/** A text, and the flag or variable that gives it: for messages. */
export interface GivenText {
  readonly text: string
  readonly from: string
}

/** What chooses the API server, for each command. */
export interface KubeconfigOptions {
  /** Empty counts as not set. Default: KUBECONFIG, the pod's service account, ~/.kube/config. */
  readonly file?: GivenText | undefined
  /** Empty counts as not set. Default: current-context. */
  readonly context?: GivenText | undefined
  readonly environment: KubeconfigEnvironment
}

/** Of a TLS server, both PEM. */
export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
}

/** Configuration of `run`: flags go before environment variables, and these before defaults. */
export interface RunConfig {
  readonly kubeconfig: KubeconfigOptions
  /** Empty: all namespaces. */
  readonly namespaces: readonly string[]
  /** Undefined: all resources. */
  readonly watchLabelSelector: LabelSelector | undefined
  /** Undefined: disabled. */
  readonly metricsBindAddress: BindAddress | undefined
  /** Undefined: plain HTTP. */
  readonly metricsTls: CertificateFiles | undefined
  readonly healthProbeBindAddress: BindAddress | undefined
  readonly leaderElect: boolean
  readonly leaderElectNamespace: string | undefined
  readonly leaderElectLeaseName: string
  readonly maxConcurrentReconciles: number
  readonly gatewayMaxConcurrency: number
  /** Empty: any gateway. */
  readonly allowedGateways: readonly string[]
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
  /** Of the format pretty. Undefined: on a terminal. */
  readonly usesLogColours: boolean | undefined
  readonly proxy: ProxyConfig
  readonly misspelledVariables: readonly MisspelledVariable[]
}

export type Environment = Readonly<Record<string, string | undefined>>

type Given = string | readonly string[] | undefined

/** `--kubeconfig` and `--context`, each before its variable. */
export function parseKubeconfigOptions(
  given: { readonly kubeconfig?: Given; readonly context?: Given },
  environment: Environment,
): KubeconfigOptions {
  const textOf = (flag: 'kubeconfig' | 'context'): GivenText | undefined => {
    const [from, texts] = sourceOf(flag, given[flag], environment)
    const text = [texts].flat().at(-1)
    return text === undefined ? undefined : { text, from }
  }
  return { file: textOf('kubeconfig'), context: textOf('context'), environment }
}

/**
 * @param given flags of the command line; a flag that is given several times is a list
 * @throws InvalidValueError with one line that names the flag or variable, the value and what was expected
 */
export function parseRunConfig(given: Partial<Record<FlagName, Given>>, environment: Environment): RunConfig {
  const values = new Map<FlagName, unknown>()
  for (const flag of runFlags) values.set(flag.name, parseFlag(flag, given[flag.name], environment))
  // The types are those that each flag's parse returns.
  return Object.freeze({
    kubeconfig: parseKubeconfigOptions(given, environment),
    namespaces: values.get('namespace') as string[],
    watchLabelSelector: values.get('watch-label-selector') as LabelSelector | undefined,
    metricsBindAddress: values.get('metrics-bind-address') as BindAddress | undefined,
    metricsTls: parseCertificateFiles(
      values.get('metrics-tls-cert-file') as string | undefined,
      values.get('metrics-tls-key-file') as string | undefined,
    ),
    healthProbeBindAddress: values.get('health-probe-bind-address') as BindAddress | undefined,
    leaderElect: values.get('leader-elect') as boolean,
    leaderElectNamespace: values.get('leader-elect-namespace') as string | undefined,
    leaderElectLeaseName: values.get('leader-elect-lease-name') as string,
    maxConcurrentReconciles: values.get('max-concurrent-reconciles') as number,
    gatewayMaxConcurrency: values.get('gateway-max-concurrency') as number,
    allowedGateways: values.get('allowed-gateways') as string[],
    logLevel: values.get('log-level') as LogLevel,
    logFormat: values.get('log-format') as LogFormat,
    usesLogColours: parseLogColours(environment),
    proxy: parseProxyConfig(environment),
    misspelledVariables: misspelledVariables(
      Object.keys(environment),
      runFlags.map(({ name }) => variableOf(name)),
    ),
  })
}

function parseCertificateFiles(
  certFile: string | undefined,
  keyFile: string | undefined,
): CertificateFiles | undefined {
  if (certFile === undefined && keyFile === undefined) return undefined
  if (certFile !== undefined && keyFile !== undefined) return Object.freeze({ certFile, keyFile })
  const [given, missing] = certFile === undefined ? ['key', 'cert'] : ['cert', 'key']
  throw new InvalidValueError(
    `--metrics-tls-${missing}-file: seen nothing, expected a file, since --metrics-tls-${given}-file has one`,
  )
}

/** The flag goes before its variable. @returns the name of the one that counts, for messages, and its value */
function sourceOf(flag: string, given: Given, environment: Environment): readonly [string, Given] {
  const variable = variableOf(flag)
  return given === undefined ? [variable, environment[variable]] : [`--${flag}`, given]
}

function parseFlag(flag: Flag, given: Given, environment: Environment): unknown {
  const [source, text = flag.default] = sourceOf(flag.name, given, environment)
  const parse = (value: string): unknown => {
    try {
      return flag.parse(value)
    } catch (error) {
      if (!(error instanceof InvalidValueError)) throw error
      throw new InvalidValueError(`${source}: seen ${JSON.stringify(value.slice(0, 80))}, ${error.message}`)
    }
  }
  if (flag.isList !== true) return parse(typeof text === 'string' ? text : (text.at(-1) ?? flag.default))
  // An empty list means all namespaces or any gateway. Only a variable that is not set, or blank as a whole, asks for that.
  const isBlankVariable = given === undefined && typeof text === 'string' && text.trim() === ''
  return [text].flat().flatMap((value) => {
    const items = itemsOf(value)
    return items.length > 0 || isBlankVariable ? items.map(parse) : [parse('')]
  })
}

function itemsOf(list: string): string[] {
  return list
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}
