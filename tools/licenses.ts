import { readdir, readFile } from 'node:fs/promises'
import type { BundledPackage } from './sbom.ts'

/** What packages call the files that must be passed on with their code. */
const licenseFile = /^(licen[cs]e|copying|notice)\b/i

/**
 * One file with the licences of all that is in the bundle, our own first.
 *
 * @throws where a package has no licence text, since most licences permit no copy without it
 */
export async function licensesOf(packages: readonly BundledPackage[]): Promise<string> {
  const own = await readFile(new URL('../LICENSE', import.meta.url), 'utf8')
  const others = await Promise.all(
    packages.map(async (each) => `${each.ref} (${each.license})\n\n${await textOf(each)}`),
  )
  return [own, ...others].join(`${'='.repeat(80)}\n`)
}

async function textOf({ folder, ref }: BundledPackage): Promise<string> {
  const names = (await readdir(folder)).filter((name) => licenseFile.test(name)).toSorted()
  if (names.length === 0) {
    throw new Error(`${ref} is bundled and has no licence text; get it from its author, or do without it`)
  }
  const texts = await Promise.all(names.map((name) => readFile(new URL(name, folder), 'utf8')))
  return texts.map((text) => `${text.trim()}\n`).join('\n')
}
