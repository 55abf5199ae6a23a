import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { licensesOf } from './licenses.ts'

/**
 * Writes dist/sbom.cdx.json: which packages are in dist/operator.mjs (CycloneDX), and their licences into dist/licenses.txt.
 * The same bundle gives the same files.
 */

/** The parts of a CycloneDX document that are changed here. */
export interface Bom {
  readonly serialNumber?: string | undefined
  readonly metadata: { readonly timestamp?: string | undefined; readonly component: BomComponent }
  readonly components: readonly BomComponent[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}

interface BomComponent {
  readonly 'bom-ref': string
  readonly name: string
  readonly version: string
}

const root = new URL('../', import.meta.url)

/** All that is installed, as npm tells it. With `--omit dev` npm leaves out what tools and operator share (js-yaml, say). */
export async function installedBom(): Promise<Bom> {
  const args = ['sbom', '--sbom-format=cyclonedx', '--sbom-type=application', '--include=dev', '--loglevel=error']
  const { stdout } = await promisify(execFile)('npm', args, { cwd: root, maxBuffer: 64 * 1024 * 1024 })
  return JSON.parse(stdout) as Bom
}

/** A package of which there is code in a bundle. */
export interface BundledPackage {
  /** Like `name@version`. */
  readonly ref: string
  /** As its package.json says, like `MIT`. */
  readonly license: string
  readonly folder: URL
}

/**
 * The packages of which there is code in a bundle, sorted.
 *
 * @param sources of its source map
 * @param base of these paths
 */
export async function bundledPackages(sources: readonly string[], base: URL): Promise<readonly BundledPackage[]> {
  const folders = new Set(
    sources.flatMap((source) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+\//.exec(new URL(source, base).href) ?? []),
  )
  const packages = await Promise.all(
    [...folders].map(async (folder) => {
      const text = await readFile(new URL('package.json', folder), 'utf8')
      const { license, name, version } = JSON.parse(text) as BomComponent & { readonly license: string }
      return { ref: `${name}@${version}`, license, folder: new URL(folder) }
    }),
  )
  return packages.toSorted((a, b) => (a.ref < b.ref ? -1 : 1))
}

/** The part of a document that is about these packages, without what differs from build to build. */
export function bomOf(installed: Bom, packages: ReadonlySet<string>): Bom {
  const components = installed.components.filter((component) => packages.has(component['bom-ref']))
  const unknown = [...packages].filter((ref) => !components.some((component) => component['bom-ref'] === ref))
  if (unknown.length > 0) throw new Error(`bundled, and unknown to npm: ${unknown.join(', ')}; run \`npm ci\``)
  const { component } = installed.metadata
  const own = component['bom-ref']
  const isKept = (ref: string): boolean => ref === own || packages.has(ref)
  return {
    ...installed,
    serialNumber: undefined,
    metadata: {
      ...installed.metadata,
      timestamp: undefined,
      // npm calls it by the folder that it is in.
      component: { ...component, name: own.slice(0, own.lastIndexOf('@')) },
    },
    components,
    dependencies: installed.dependencies
      .filter(({ ref }) => isKept(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter(isKept) })),
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const map = new URL('dist/operator.mjs.map', root)
  const { sources } = JSON.parse(await readFile(map, 'utf8')) as { sources: string[] }
  const packages = await bundledPackages(sources, map)
  const bom = bomOf(await installedBom(), new Set(packages.map(({ ref }) => ref)))
  await writeFile(new URL('dist/sbom.cdx.json', root), `${JSON.stringify(bom, undefined, 2)}\n`)
  await writeFile(new URL('dist/licenses.txt', root), await licensesOf(packages))
}
