import type { TestProject } from 'vitest/node'
import { chartPrograms } from '../charts/programs.ts'
import { findAssets } from '../control-plane/assets.ts'
import { run } from '../support/run.ts'
import { chooseCluster, type Images } from './cluster.ts'
import { clusterSources } from './cluster-sources.ts'

declare module 'vitest' {
  interface ProvidedContext {
    podCluster: { readonly images: Images; readonly sharesHostNetwork: boolean }
  }
}

/** Starts a cluster that runs pods. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const log = (line: string): void => void process.stdout.write(`${line}\n`)
  const options = { environment: process.env, log }
  const chosen = await chooseCluster(clusterSources(options))
  if ('reasons' in chosen) throw new Error(`no cluster that runs pods:\n  ${chosen.reasons.join('\n  ')}`)
  await run('make', ['build'])
  project.provide('chartPrograms', await chartPrograms(process.env, log))
  project.provide('assets', await findAssets({ ...options, needed: ['kubectl'] }))
  const { images, kubeconfig, name, sharesHostNetwork, stop } = await chosen.source.start()
  log(`e2e: running on ${name}`)
  project.provide('adminKubeconfig', kubeconfig)
  project.provide('operatorKubeconfig', kubeconfig)
  project.provide('podCluster', { images, sharesHostNetwork })
  return stop
}
