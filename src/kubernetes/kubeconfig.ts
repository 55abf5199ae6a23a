import { existsSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { delimiter, join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import type { KubeconfigOptions } from '../config/run-config.ts'
import { KubeconfigError } from './kubeconfig-error.ts'
import { loadKubeconfigFiles, readKubeconfigFile } from './kubeconfig-files.ts'

export interface KubeconfigSource extends KubeconfigOptions {
  /** Directory of the pod's token, CA and namespace. */
  readonly serviceAccountDirectory?: string
}

/** The source that was chosen. */
export interface ChosenKubeconfig {
  /** For messages: `the kubeconfig /home/me/.kube/config`. */
  readonly from: string
  /** Reads the source anew each time. @throws KubeconfigError */
  readonly load: () => KubeConfig
}

const defaultServiceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount'

/** Chooses the source once: the given file, else KUBECONFIG, else the pod's service account, else ~/.kube/config. */
export function chooseKubeconfig({
  file,
  context: givenContext,
  environment,
  serviceAccountDirectory = defaultServiceAccountDirectory,
}: KubeconfigSource): ChosenKubeconfig {
  const context = isSet(givenContext?.text) ? givenContext : undefined
  const named = context === undefined ? 'the kubeconfig' : `the context ${context.text} of the kubeconfig`
  const ofFiles = (files: readonly string[], origin: string): ChosenKubeconfig => ({
    from: `${named} ${files.join(delimiter)}`,
    load: () => loadKubeconfigFiles(files, origin, context),
  })
  if (isSet(file?.text)) return ofFiles([file.text], file.from)
  const { HOME, KUBECONFIG, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = environment
  const files = (KUBECONFIG ?? '').split(delimiter).filter((file) => file !== '')
  if (files.length > 0) return ofFiles(files, 'KUBECONFIG')
  if (isSet(host) && existsSync(join(serviceAccountDirectory, 'token'))) {
    return {
      from: 'the service account of the pod',
      load: () => {
        if (context === undefined) return loadInCluster(host, isSet(port) ? port : '443', serviceAccountDirectory)
        throw new KubeconfigError(
          `context ${context.text} (from ${context.from}) needs a kubeconfig, and the service account of the pod ` +
            `would be used; set --kubeconfig or KUBECONFIG, or leave out ${context.from}`,
        )
      },
    }
  }
  const homeFile = isSet(HOME) ? join(HOME, '.kube', 'config') : undefined
  if (homeFile !== undefined && existsSync(homeFile)) return ofFiles([homeFile], 'the home directory')
  const expected = homeFile ?? '~/.kube/config'
  return {
    from: `${named} ${expected}`,
    load: () => {
      throw new KubeconfigError(
        `no kubeconfig found: ${expected} does not exist; set --kubeconfig or KUBECONFIG, ` +
          'or run in a pod that mounts its service account token',
      )
    },
  }
}

/** Namespace of the pod, else of the current context, else `default`. */
export function currentNamespace(config: KubeConfig): string {
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace?.trim()
  return isSet(namespace) ? namespace : 'default'
}

function loadInCluster(host: string, port: string, directory: string): KubeConfig {
  const config = new KubeConfig()
  config.loadFromOptions({
    clusters: [
      {
        name: 'in-cluster',
        server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
        caFile: join(directory, 'ca.crt'),
        skipTLSVerify: false,
      },
    ],
    // client-node reads the token file again, because it is rotated.
    users: [
      { name: 'in-cluster', authProvider: { name: 'tokenFile', config: { tokenFile: join(directory, 'token') } } },
    ],
    contexts: [{ name: 'in-cluster', cluster: 'in-cluster', user: 'in-cluster', ...namespaceIn(directory) }],
    currentContext: 'in-cluster',
  })
  return config
}

function namespaceIn(directory: string): { namespace?: string } {
  const file = join(directory, 'namespace')
  return existsSync(file) ? { namespace: readKubeconfigFile(file, 'the service account').trim() } : {}
}

function isSet(value: string | null | undefined): value is string {
  return value !== undefined && value !== null && value !== ''
}
