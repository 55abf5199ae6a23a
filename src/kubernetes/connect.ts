import type { Clock } from '../lib/clock.ts'
import { Credentials } from './auth.ts'
import { HttpKubernetesClient } from './http-client.ts'
import { currentNamespace, type KubeconfigSource, loadKubeconfig } from './kubeconfig.ts'
import { Transport, type TransportOptions } from './transport.ts'

export interface ConnectOptions {
  readonly kubeconfig: KubeconfigSource
  readonly clock: Clock
  readonly userAgent: string
  /** The name under which writes are recorded in managedFields. */
  readonly fieldManager: string
  /** Called once for each answer of the API server. */
  readonly onAnswer?: NonNullable<TransportOptions['onAnswer']>
}

/** The API server, as the kubeconfig or the pod's service account tells it. */
export interface ApiConnection {
  readonly client: HttpKubernetesClient
  /** The pod's own namespace, else that of the current context, else `default`. */
  readonly currentNamespace: string
  /** Ends all calls and watches. */
  close(): Promise<void>
}

/** @throws KubeconfigError when there is no usable kubeconfig; no call is made */
export function connect({ kubeconfig, clock, userAgent, fieldManager, onAnswer }: ConnectOptions): ApiConnection {
  const load = loadKubeconfig(kubeconfig)
  const namespace = currentNamespace(load())
  const credentials = new Credentials(load, clock)
  const transport = new Transport({ credentials, clock, userAgent, ...(onAnswer === undefined ? {} : { onAnswer }) })
  const client = new HttpKubernetesClient({ transport, clock, fieldManager })
  return { client, currentNamespace: namespace, close: () => transport.close() }
}
