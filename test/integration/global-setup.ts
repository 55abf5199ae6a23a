import { fileURLToPath } from 'node:url'
import type { TestProject } from 'vitest/node'
import { startCluster } from '../control-plane/cluster.ts'
import { run } from '../support/run.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder of etcd, kube-apiserver, kube-controller-manager and kubectl. */
    assets: string
    /** Paths of kubeconfigs. */
    adminKubeconfig: string
    /** As the service account of the manifests. */
    operatorKubeconfig: string
    /** 36 for Kubernetes 1.36. */
    kubernetesMinor: number
  }
}

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Starts one control plane for all integration and fault tests, with the shipped manifests, and builds the bundle. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await run(process.execPath, [`${root}node_modules/rolldown/bin/cli.mjs`, '--config', `${root}rolldown.config.ts`])
  const cluster = await startCluster({
    environment: process.env,
    log: (line) => process.stdout.write(`${line}\n`),
  })
  project.provide('assets', cluster.assets)
  project.provide('adminKubeconfig', cluster.kubeconfig)
  project.provide('operatorKubeconfig', cluster.operatorKubeconfig)
  const version = JSON.parse(await cluster.kubectl(['get', '--raw', '/version'])) as { minor: string }
  project.provide('kubernetesMinor', Number.parseInt(version.minor))
  return cluster.stop
}
