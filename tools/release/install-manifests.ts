import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** Manifests of a release for `kubectl apply`, by the folders of deploy/ that kustomize builds. */
export const installManifests = { '.': 'install.yaml', namespaced: 'install-namespaced.yaml' } as const

export type InstallFolder = keyof typeof installManifests

/** @param kubectl the program */
export async function renderInstall(kubectl: string, folder: InstallFolder): Promise<string> {
  const path = join(fileURLToPath(new URL('../../deploy', import.meta.url)), folder)
  return (await promisify(execFile)(kubectl, ['kustomize', path], { maxBuffer: 64 * 1024 * 1024 })).stdout
}
