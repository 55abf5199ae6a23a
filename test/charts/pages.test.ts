import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { waitUntilServed } from '../control-plane/served.ts'
import { parseShellBlocks } from '../integration/shell-blocks.ts'
import { PageFolder } from '../support/page-folder.ts'
import { run } from '../support/run.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Of which each command is run, in this order. */
const pages = ['install.md', 'monitor.md', 'upgrade.md'] as const
let folder: PageFolder

beforeAll(async () => {
  // Of other files.
  await waitUntilServed(kubectl)
  await kubectl(['delete', 'crd', '--all'])
  folder = await PageFolder.create({
    assets: inject('assets'),
    kubeconfig: inject('adminKubeconfig'),
    clone: ['deploy'],
    programs: { helm: join(inject('chartPrograms'), 'helm4') },
  })
  for (const page of pages) await folder.writeManifests(await read(page))
})

afterAll(async () => {
  await folder.remove()
})

async function read(page: (typeof pages)[number]): Promise<string> {
  return await readFile(join(root, 'docs/how-to', page), 'utf8')
}

async function commandsOf(page: (typeof pages)[number]): Promise<string[]> {
  const blocks = parseShellBlocks(await read(page)).filter(({ notRun }) => notRun === undefined)
  return blocks.flatMap(({ commands }) => commands)
}

async function kubectl(args: readonly string[]): Promise<string> {
  return await run(join(inject('assets'), 'kubectl'), ['--kubeconfig', inject('adminKubeconfig'), ...args])
}

async function get(...args: string[]): Promise<unknown> {
  return JSON.parse(await kubectl(['get', '-o', 'json', ...args]))
}

describe('docs/how-to', () => {
  async function image(): Promise<string> {
    const deployment = await get('-n', 'enos-system', 'deployment/enos-credential-operator')
    const { spec } = deployment as { spec: { template: { spec: { containers: { image: string }[] } } } }
    return spec.template.spec.containers[0]?.image ?? ''
  }

  it('the pages on Helm install, change, upgrade, roll back and uninstall', async () => {
    const [install, monitor, upgrade] = await Promise.all(pages.map(commandsOf))
    const isRemoval = (command: string): boolean => /^(?:kubectl delete|helm uninstall) /.test(command)
    const [removals, installs] = [install?.filter(isRemoval) ?? [], install?.filter((c) => !isRemoval(c)) ?? []]
    expect([installs.length, removals.length, monitor?.length, upgrade?.length]).toEqual([3, 4, 1, 2])
    for (const command of installs) await folder.shell(command)
    expect(await image()).toMatch(/^registry\.example\.com\/platform\/enos-credential-operator:/)
    expect(await get('-n', 'default', 'rolebindings')).toHaveProperty('items.0.subjects.0.namespace', 'enos-plant-a')
    for (const command of [...(monitor ?? []), ...(upgrade ?? [])]) {
      await folder.shell(command)
      expect(await image(), 'values are kept').toMatch(/^registry\.example\.com\//)
    }
    expect(await get('crd', 'enosappcredentials.enos.io')).toHaveProperty('spec.group', 'enos.io')
    await waitUntilServed(kubectl)
    for (const command of removals) await folder.shell(command)
    expect(await get('-n', 'enos-system', 'deployments')).toHaveProperty('items', [])
    expect(await get('crd')).toHaveProperty('items', [])
  })
})
