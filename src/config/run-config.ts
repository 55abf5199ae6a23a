import type { LogFormat, LogLevel } from '../lib/log.ts'
import { type BindAddress, type Flag, type FlagName, InvalidValueError, runFlags, variableOf } from './flags.ts'

/** As the environment variables of these names; undefined or empty: none. */
export interface ProxyConfig {
  readonly httpProxy: string | undefined
  readonly httpsProxy: string | undefined
  readonly noProxy: string | undefined
}

/** The environment variables that say where the API server is. */
export interface KubeconfigEnvironment {
  /** Files, separated by `:`; merged as kubectl does, what is set first wins. */
  readonly KUBECONFIG?: string | undefined
  /** Set in pods. */
  readonly KUBERNETES_SERVICE_HOST?: string | undefined
  /** Default: 443. */
  readonly KUBERNETES_SERVICE_PORT?: string | undefined
  readonly HOME?: string | undefined
}

/** How the operator runs: flags, then environment, then defaults. */
export interface RunConfig {
  readonly kubeconfig: { readonly flag: string | undefined; readonly environment: KubeconfigEnvironment }
  /** Empty: all namespaces. */
  readonly namespaces: readonly string[]
  /** Undefined: none. */
  readonly metricsBindAddress: BindAddress | undefined
  readonly healthProbeBindAddress: BindAddress | undefined
  readonly leaderElect: boolean
  readonly leaderElectNamespace: string | undefined
  readonly leaderElectLeaseName: string
  readonly maxConcurrentReconciles: number
  readonly gatewayMaxConcurrency: number
  /** Empty: any. */
  readonly allowedGateways: readonly string[]
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
  readonly proxy: ProxyConfig
}

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Puts the configuration together.
 *
 * @param given flags as they were typed; a list has one entry for each time that its flag was given
 * @throws InvalidValueError with one line that names the flag or variable, and what was expected
 */
export function parseRunConfig(
  given: Partial<Record<FlagName, string | readonly string[]>>,
  environment: Environment,
): RunConfig {
  const values = new Map<FlagName, unknown>()
  for (const flag of runFlags) values.set(flag.name, valueOf(flag, given[flag.name], environment))
  // Each value is what the flag's own parse returned.
  return Object.freeze({
    kubeconfig: { flag: values.get('kubeconfig') as string | undefined, environment },
    namespaces: values.get('namespace') as string[],
    metricsBindAddress: values.get('metrics-bind-address') as BindAddress | undefined,
    healthProbeBindAddress: values.get('health-probe-bind-address') as BindAddress | undefined,
    leaderElect: values.get('leader-elect') as boolean,
    leaderElectNamespace: values.get('leader-elect-namespace') as string | undefined,
    leaderElectLeaseName: values.get('leader-elect-lease-name') as string,
    maxConcurrentReconciles: values.get('max-concurrent-reconciles') as number,
    gatewayMaxConcurrency: values.get('gateway-max-concurrency') as number,
    allowedGateways: values.get('allowed-gateways') as string[],
    logLevel: values.get('log-level') as LogLevel,
    logFormat: values.get('log-format') as LogFormat,
    proxy: proxyOf(environment),
  })
}

/** HTTPS_PROXY, HTTP_PROXY and NO_PROXY, in capitals or not. */
export function proxyOf(environment: Environment): ProxyConfig {
  const either = (name: string): string | undefined => environment[name.toLowerCase()] ?? environment[name]
  return { httpProxy: either('HTTP_PROXY'), httpsProxy: either('HTTPS_PROXY'), noProxy: either('NO_PROXY') }
}

function valueOf(flag: Flag, typed: string | readonly string[] | undefined, environment: Environment): unknown {
  const variable = variableOf(flag.name)
  const [where, text] =
    typed === undefined ? [variable, environment[variable] ?? flag.default] : [`--${flag.name}`, typed]
  const parse = (one: string): unknown => {
    try {
      return flag.parse(one)
    } catch (error) {
      if (!(error instanceof InvalidValueError)) throw error
      throw new InvalidValueError(`${where}: seen ${JSON.stringify(one.slice(0, 80))}, ${error.message}`)
    }
  }
  if (flag.isList !== true) return parse(typeof text === 'string' ? text : (text.at(-1) ?? flag.default))
  return [text]
    .flat()
    .flatMap((entry) => entry.split(','))
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map(parse)
}
