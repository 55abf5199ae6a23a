import { isLoopback } from '../config/no-proxy.ts'
import { createProxySelector, type ProxyConfig, type ProxySelector } from '../config/proxy.ts'
import type { Clock } from '../lib/clock.ts'
import { ApiServerAuth } from './auth.ts'
import { HttpKubernetesClient } from './http-client.ts'
import { chooseKubeconfig, currentNamespace, type KubeconfigSource } from './kubeconfig.ts'
import { Transport, type TransportOptions } from './transport.ts'

export interface ConnectOptions {
  readonly kubeconfig: KubeconfigSource
  readonly clock: Clock
  readonly userAgent: string
  /** The name under which writes are recorded in managedFields. */
  readonly fieldManager: string
  /** For a cluster without proxy-url. Default: no proxy. */
  readonly proxy?: ProxyConfig
  /** Called once for each response of the API server. */
  readonly onAnswer?: NonNullable<TransportOptions['onAnswer']>
}

/** Connection to the API server that the kubeconfig or the pod's service account names. */
export interface ApiConnection {
  readonly client: HttpKubernetesClient
  /** Namespace of the pod, else of the current context, else `default`. */
  readonly currentNamespace: string
  /** URL of the API server, and the source that names it; for messages and the log. */
  readonly origin: { readonly server: string; readonly from: string }
  /** Ends all calls and watches. */
  close(): Promise<void>
}

/** Makes no call. @throws KubeconfigError when there is no usable kubeconfig */
export function connect(options: ConnectOptions): ApiConnection {
  const { clock, fieldManager, kubeconfig, onAnswer, proxy, userAgent } = options
  const { from, load } = chooseKubeconfig(kubeconfig)
  const config = load()
  const auth = new ApiServerAuth(load, clock, {
    environment: kubeconfig.environment,
    ...(proxy === undefined ? {} : { selectProxy: selectorFor(proxy) }),
  })
  const transport = new Transport({ auth, clock, userAgent, ...(onAnswer === undefined ? {} : { onAnswer }) })
  const client = new HttpKubernetesClient({ transport, clock, fieldManager })
  // A user name and a password in the URL are no matter for the log.
  const server = config.getCurrentCluster()?.server.replace(/\/\/[^/]*@/, '//') ?? ''
  return {
    client,
    currentNamespace: currentNamespace(config),
    origin: { server, from },
    close: () => transport.close(),
  }
}

/** As kubectl: an API server on this machine, such as kind's, is reached without a proxy. */
function selectorFor(proxy: ProxyConfig): ProxySelector {
  const select = createProxySelector(proxy)
  return (target) => (isLoopback(target.hostname) ? undefined : select(target))
}
