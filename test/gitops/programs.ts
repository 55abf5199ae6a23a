import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { goModuleFolder } from '../support/go-module.ts'
import { run, runToEnd } from '../support/run.ts'

const source = fileURLToPath(new URL('.', import.meta.url))

/** Programs that do what GitOps tools do, by those tools' own libraries (main.go). */
export interface GitOpsPrograms {
  /** @returns what kstatus computes: InProgress, Failed, Current, Terminating */
  readonly kstatus: (object: object) => Promise<string>
  /** @returns the patch by which Argo CD sees and ends a difference; `{}` where there is none */
  readonly threeWayMerge: (manifest: object, live: object) => Promise<object>
  /** @returns what a Lua script of Argo CD returns for the object */
  readonly argoLua: (script: string, object: object) => Promise<unknown>
}

/** Whether there is a `go` on the PATH. */
export async function hasGo(): Promise<boolean> {
  return await runToEnd('go', ['version']).then(
    ({ code }) => code === 0,
    () => false,
  )
}

/** Builds the programs with Go, whose cache makes it seconds from the second time on. @param directory for the programs */
export async function buildGitOpsPrograms(directory: string): Promise<GitOpsPrograms> {
  await run('go', ['build', '-C', source, '-o', `${directory}/`, './...'])
  return {
    kstatus: async (object) => (await run(join(directory, 'kstatus'), [], JSON.stringify(object))).trim(),
    threeWayMerge: async (manifest, live) =>
      JSON.parse(await run(join(directory, 'three-way-merge'), [], JSON.stringify({ manifest, live }))) as object,
    argoLua: async (script, object) =>
      JSON.parse(await run(join(directory, 'argo-lua'), [], JSON.stringify({ script, object }))) as unknown,
  }
}

/** The CRD of Flux's Kustomization, from the source of its controller. @returns the file */
export async function fluxCrd(): Promise<string> {
  const folder = await goModuleFolder('github.com/fluxcd/kustomize-controller@v1.9.6')
  return join(folder, 'config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml')
}
