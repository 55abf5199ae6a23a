import { fileURLToPath } from 'node:url'
import { parseAllDocuments, stringify } from 'yaml'
import type { TestProject } from 'vitest/node'
import { findAssets } from '../control-plane/assets.ts'
import { type Kubectl, serviceAccount, startControlPlane } from '../control-plane/control-plane.ts'
import { run } from '../support/run.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder of etcd, kube-apiserver, kube-controller-manager and kubectl. */
    assets: string
    /** Paths of kubeconfigs. */
    adminKubeconfig: string
    /** As the service account of the manifests. */
    operatorKubeconfig: string
  }
}

const root = fileURLToPath(new URL('../..', import.meta.url))

/** One control plane for the whole suite, with the manifests as shipped, and the bundle as shipped. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await run(process.execPath, [`${root}node_modules/rolldown/bin/cli.mjs`, '--config', `${root}rolldown.config.ts`])
  const assets = await findAssets({ environment: process.env, log: (line) => process.stdout.write(`${line}\n`) })
  const begun = performance.now()
  const controlPlane = await startControlPlane(assets, install)
  try {
    project.provide('assets', assets)
    project.provide('adminKubeconfig', controlPlane.kubeconfig)
    const identity = serviceAccount('enos-system', 'enos-credential-operator')
    project.provide('operatorKubeconfig', await controlPlane.kubeconfigFor(identity))
  } catch (error) {
    await controlPlane.stop()
    throw error
  }
  process.stdout.write(`control plane: ready in ${((performance.now() - begun) / 1000).toFixed(1)} s\n`)
  return () => controlPlane.stop()
}

/** Applies deploy/, less the Deployment: the operator runs outside, as its service account. */
async function install(kubectl: Kubectl): Promise<void> {
  const manifests = parseAllDocuments(await kubectl(['kustomize', `${root}deploy`]))
  const objects = manifests.map((document) => document.toJS() as { kind: string })
  const wanted = objects.filter(({ kind }) => kind !== 'Deployment')
  await kubectl(['apply', '-f', '-'], wanted.map((object) => stringify(object)).join('---\n'))
  await kubectl(['wait', '--for=condition=Established', 'crd/enosappcredentials.enos.io', '--timeout=30s'])
}
