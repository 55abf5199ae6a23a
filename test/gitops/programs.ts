import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll } from 'vitest'
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

/**
 * The programs for the tests of a file. The control plane can be downloaded, but these programs are always built.
 *
 * @returns `canBuild`: whether there is a `go` on the PATH
 */
export async function useGitOpsPrograms(): Promise<{ canBuild: boolean; programs: () => GitOpsPrograms }> {
  const canBuild = await hasGo()
  let directory: string | undefined
  let programs: GitOpsPrograms | undefined
  beforeAll(async () => {
    if (!canBuild) return
    directory = await mkdtemp(join(tmpdir(), 'gitops-programs-'))
    programs = await buildGitOpsPrograms(directory)
  }, 300_000)
  afterAll(async () => {
    if (directory !== undefined) await rm(directory, { recursive: true })
  })
  return {
    canBuild,
    programs: () => {
      if (programs === undefined) throw new Error('the programs exist inside of tests only, where Go is')
      return programs
    },
  }
}

async function hasGo(): Promise<boolean> {
  return await runToEnd('go', ['version']).then(
    ({ code }) => code === 0,
    () => false,
  )
}

/** Builds the programs with Go, whose cache makes it seconds from the second time on. @param directory for the programs */
async function buildGitOpsPrograms(directory: string): Promise<GitOpsPrograms> {
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
