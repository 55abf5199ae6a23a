import { fileURLToPath } from 'node:url'
import { parseAllDocuments, stringify } from 'yaml'
import { type AssetsOptions, findAssets } from './assets.ts'
import { type ControlPlane, type Kubectl, serviceAccount, startControlPlane } from './control-plane.ts'
import { waitUntilServed } from './served.ts'

/** A control plane with the manifests of deploy/ as shipped, less the Deployment: the operator runs outside. */
export interface Cluster extends ControlPlane {
  /** Folder of etcd, kube-apiserver, kube-controller-manager and kubectl. */
  readonly assets: string
  /** Path of a kubeconfig as the operator's service account. */
  readonly operatorKubeconfig: string
}

export interface ClusterOptions extends AssetsOptions {
  /** Flags of kube-apiserver, without dashes. */
  readonly apiServerFlags?: Readonly<Record<string, string>>
}

/** Starts a cluster, in seconds where the programs are there. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const assets = await findAssets(options)
  const begun = performance.now()
  const controlPlane = await startControlPlane(assets, install, options.apiServerFlags)
  const operatorKubeconfig = await controlPlane.kubeconfigFor(serviceAccount('enos-system', 'enos-credential-operator'))
  options.log(`control plane: ready in ${((performance.now() - begun) / 1000).toFixed(1)} s`)
  return { ...controlPlane, assets, operatorKubeconfig }
}

async function install(kubectl: Kubectl): Promise<void> {
  const manifests = parseAllDocuments(
    await kubectl(['kustomize', fileURLToPath(new URL('../../deploy', import.meta.url))]),
  )
  const objects = manifests.map((document) => document.toJS() as { kind: string })
  const wanted = objects.filter(({ kind }) => kind !== 'Deployment')
  await kubectl(['apply', '-f', '-'], wanted.map((object) => stringify(object)).join('---\n'))
  await waitUntilServed(kubectl)
}
