import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { fluxCrd, useGitOpsPrograms } from '../gitops/programs.ts'
import { runToEnd } from '../support/run.ts'
import { fullSpec, minimalSpec } from '../support/spec-table.ts'
import { useHarness } from './harness.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const harness = useHarness()
const { canBuild, programs } = await useGitOpsPrograms()
let namespace: string

beforeAll(async () => {
  namespace = await harness().namespace()
})

async function kubectl(...args: string[]) {
  return await runToEnd(`${inject('assets')}/kubectl`, ['--kubeconfig', inject('adminKubeconfig'), ...args])
}

/** What `kubectl apply` says of each object: created, configured, unchanged, serverside-applied. */
async function apply(...args: string[]): Promise<string[]> {
  const { code, stderr, stdout } = await kubectl('apply', ...args)
  // No warning either.
  expect(stderr).toBe('')
  expect(code).toBe(0)
  return stdout.trim().split('\n')
}

/** @returns what `kubectl diff` prints; '' where nothing differs */
async function diff(...args: string[]): Promise<string> {
  const { code, stderr, stdout } = await kubectl('diff', ...args)
  expect(code, stderr).toBe(stdout === '' ? 0 : 1)
  return stdout + stderr
}

/** Folders that are applied as they are. */
const installs = ['deploy', 'deploy/api', 'deploy/namespaced', 'crds'] as const

interface ManifestObject {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
}

interface LiveObject {
  readonly metadata: { readonly name: string; readonly resourceVersion: string }
}

/** The manifests of a folder, each with the live object. */
async function manifestsOf(folder: string): Promise<{ manifest: ManifestObject; live: LiveObject }[]> {
  const text = await harness().kubectl(['kustomize', join(root, folder)])
  const manifests = text.split(/^---$/m).map((document) => parse(document) as ManifestObject)
  const pairs = manifests.map(async (manifest) => {
    const { name, namespace: within = 'default' } = manifest.metadata
    const live = await harness().kubectl(['get', manifest.kind, name, '-n', within, '-o', 'json'])
    return { manifest, live: JSON.parse(live) as LiveObject }
  })
  return await Promise.all(pairs)
}

async function versionsOf(folder: string): Promise<string[]> {
  return (await manifestsOf(folder)).map(({ live: { metadata } }) => `${metadata.name} ${metadata.resourceVersion}`)
}

/**
 * kubectl replaces the selector of a disruption budget (patchStrategy of the API): it always sends a patch, and says
 * configured whether or not the API server changed the object.
 */
function isAlwaysSent(line: string): boolean {
  return line === 'poddisruptionbudget.policy/enos-credential-operator configured'
}

describe('the shipped manifests', () => {
  afterAll(async () => {
    // No controller runs its pods here, and other tests do not expect these.
    await harness().kubectl(['-n', 'enos-system', 'delete', 'deployment', '--all'])
    await harness().kubectl(['delete', '-f', join(root, 'deploy/namespaced/role.yaml')])
  })

  it.each(installs)('kubectl apply says unchanged of every object of %s the second time', async (folder) => {
    await apply('-k', join(root, folder))
    const before = await versionsOf(folder)
    const again = await apply('-k', join(root, folder))
    expect(again.filter((line) => !line.endsWith(' unchanged') && !isAlwaysSent(line))).toEqual([])
    expect(await versionsOf(folder)).toEqual(before)
  })

  it.each(installs)('kubectl apply --server-side changes no object of %s the second time', async (folder) => {
    const serverSide = ['--server-side', '--force-conflicts', '-k', join(root, folder)]
    await apply(...serverSide)
    const before = await versionsOf(folder)
    await apply(...serverSide)
    expect(await versionsOf(folder)).toEqual(before)
  })

  it.each(installs)('kubectl diff of %s is empty after an apply', async (folder) => {
    await apply('-k', join(root, folder))
    expect(await diff('-k', join(root, folder))).toBe('')
  })

  it.skipIf(!canBuild).each(installs)(
    'a three-way merge of plain JSON shows no change of any object of %s',
    async (folder) => {
      await apply('-k', join(root, folder))
      for (const { manifest, live } of await manifestsOf(folder)) {
        const patch = await programs().threeWayMerge(manifest, live)
        expect(patch, `${manifest.kind} ${manifest.metadata.name}`).toEqual({})
      }
    },
  )
})

describe('kubectl apply of the folder crds/', () => {
  const crds = join(root, 'crds')

  it.each([[[]], [['--server-side', '--force-conflicts']]])(
    'changes nothing the second time, with the flags %j',
    async (how) => {
      await apply('-f', crds, ...how)
      const before = await versionsOf('crds')
      expect(await apply('-f', crds, ...how)).toHaveLength(1)
      expect(await versionsOf('crds')).toEqual(before)
    },
  )
})

describe.skipIf(!canBuild)('a three-way merge of plain JSON by Argo CD', () => {
  const readme = readFile(join(root, 'README.md'), 'utf8')

  async function readmeCredentials(): Promise<ManifestObject[]> {
    const blocks = [...(await readme).matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text = '']) => text)
    const objects = blocks.map((text) => parse(text) as ManifestObject)
    return objects.filter(({ kind }) => kind === 'EnosAppCredential')
  }

  async function patchAfterApply(manifest: ManifestObject): Promise<object> {
    const body = { ...manifest, metadata: { annotations: {}, ...manifest.metadata, namespace } }
    await harness().kubectl(['apply', '-f', '-'], JSON.stringify(body))
    const live = await harness().getCredential(namespace, manifest.metadata.name)
    return await programs().threeWayMerge(body, live)
  }

  it('shows no change of a resource of the README that was applied', async () => {
    const manifests = await readmeCredentials()
    expect(manifests.map(({ metadata }) => metadata.name)).toEqual(['demo', 'wind-farm', 'solar-farm'])
    const other = await harness().namespace()
    const directory = await mkdtemp(join(tmpdir(), 'gitops-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    for (const manifest of manifests) {
      expect(await patchAfterApply(manifest), manifest.metadata.name).toEqual({})
      const file = join(directory, 'manifest.json')
      await writeFile(file, JSON.stringify(manifest))
      expect(await diff('-n', namespace, '-f', file)).toBe('')
      const serverSide = ['-n', other, '--server-side', '-f', file]
      await apply(...serverSide)
      expect(await diff(...serverSide)).toBe('')
    }
  })

  it.each([
    ['the required fields', minimalSpec],
    ['every field', fullSpec],
  ])('shows no change of a resource with %s', async (_, spec) => {
    const manifest = { apiVersion: 'enos.io/v1alpha1', kind: 'EnosAppCredential', metadata: { name: 'merged' }, spec }
    expect(await patchAfterApply(manifest)).toEqual({})
  })

  it('shows a change of a resource that has a default in a list', async () => {
    const [manifest] = await readmeCredentials()
    const live = { ...manifest, spec: { targets: [{ name: 'enos-token', creationPolicy: 'Owner' }] } }
    expect(await programs().threeWayMerge(manifest ?? {}, live)).toHaveProperty('spec.targets')
  })
})

describe.skipIf(!canBuild)('docs/how-to/gitops.md', () => {
  it('shows resources of Flux that its CRD accepts', async () => {
    const page = await readFile(join(root, 'docs/how-to/gitops.md'), 'utf8')
    const [, text = ''] = /^```yaml\n(.*?)^```$/ms.exec(page) ?? []
    expect(text).toContain('wait: true')
    await harness().kubectl(['apply', '-f', await fluxCrd()])
    await harness().waitUntilServed()
    const manifest = text.replaceAll('namespace: flux-system', `namespace: ${namespace}`)
    const answer = await harness().kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], manifest)
    expect(answer.trim().split('\n')).toHaveLength(2)
  })
})
