import { fileURLToPath } from 'node:url'
import type { TestProject } from 'vitest/node'
import { findAssets } from '../control-plane/assets.ts'
import { serviceAccount, startControlPlane } from '../control-plane/control-plane.ts'
import { run } from '../support/run.ts'
import { chartPrograms } from './programs.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder of helm3, helm4 and helm-unittest. */
    chartPrograms: string
  }
}

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Builds the programs and the bundle, and starts a control plane with nothing of ours installed. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const log = (line: string): void => void process.stdout.write(`${line}\n`)
  await run(process.execPath, [`${root}node_modules/rolldown/bin/cli.mjs`, '--config', `${root}rolldown.config.ts`])
  const assets = await findAssets({ environment: process.env, log })
  project.provide('chartPrograms', await chartPrograms(process.env, log))
  const controlPlane = await startControlPlane(assets, async () => {
    // The charts install.
  })
  project.provide('assets', assets)
  project.provide('adminKubeconfig', controlPlane.kubeconfig)
  // What this identity may do is what the chart grants it.
  const operator = serviceAccount('enos-system', 'enos-credential-operator')
  project.provide('operatorKubeconfig', await controlPlane.kubeconfigFor(operator))
  return controlPlane.stop
}
