import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { runToEnd } from '../support/run.ts'
import { type Keys, useHarness } from './harness.ts'
import { parseShellBlocks } from './shell-blocks.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(root, 'docs/how-to')
const pages = (await readdir(folder)).sort()
const texts = new Map<string, string>()
for (const page of pages) texts.set(page, await readFile(join(folder, page), 'utf8'))
/** Run by test/charts/pages.test.ts. */
const helmPages = ['install.md', 'monitor.md', 'upgrade.md']
/** Pages with blocks that are run here, each as a user of a namespace of its own with a Ready resource `wind-farm`. */
const runPages = pages.filter((page) => commandsOf(page).length > 0 && !helmPages.includes(page))

const harness = useHarness()
let gateway: Simulator
let directory: string

function textOf(page: string): string {
  return texts.get(page) ?? ''
}

function commandsOf(page: string): string[] {
  const blocks = parseShellBlocks(textOf(page)).filter(({ notRun }) => notRun === undefined)
  return blocks.flatMap(({ commands }) => commands)
}

/** The place of a page: its namespace, its own application, and a working directory with its manifests. */
class Place {
  readonly namespace: string
  readonly keys: Keys
  readonly #path: string

  private constructor(namespace: string, keys: Keys, path: string) {
    this.namespace = namespace
    this.keys = keys
    this.#path = path
  }

  static async make(page: string): Promise<Place> {
    const keys = harness().keys()
    gateway.service.addApplication(keys)
    const place = new Place(await harness().namespace(), keys, await mkdtemp(join(directory, 'page-')))
    await writeFile(join(place.#path, 'kubeconfig'), await readFile(inject('adminKubeconfig'), 'utf8'))
    await place.shell(`kubectl config set-context --current --namespace ${place.namespace}`)
    for (const [, name = '', text = ''] of textOf(page).matchAll(/^```yaml\n# (\S+\.yaml)\n(.*?)^```$/gms)) {
      await writeFile(join(place.#path, name), place.#here(text))
    }
    await harness().createSecret(place.namespace, 'enos-app', { ...keys })
    const refs = { appKeyRef: { name: 'enos-app' }, appSecretRef: { name: 'enos-app' } }
    const targets = [{ name: 'enos-token' }]
    await harness().createCredential(place.namespace, 'wind-farm', gateway, keys, { ...refs, targets })
    await harness().expectReady(place.namespace, 'wind-farm')
    return place
  }

  /** The text with the gateway, keys and namespace of this place. */
  #here(text: string): string {
    return text
      .replace('url: https://apim.example.com', `url: ${gateway.url}\n    allowInsecureHTTP: true`)
      .replace('appKey=KEY', `appKey=${this.keys.appKey}`)
      .replace('appSecret=SECRET', `appSecret=${this.keys.appSecret}`)
      .replaceAll(' default/', ` ${this.namespace}/`)
  }

  async shell(command: string): Promise<string> {
    const path = [directory, inject('assets'), dirname(process.execPath), process.env['PATH']].join(delimiter)
    const env = { ...process.env, PATH: path, KUBECONFIG: join(this.#path, 'kubeconfig') }
    const script = `cd ${this.#path}; ${this.#here(command)}`
    const { code, stderr, stdout } = await runToEnd('bash', ['-euo', 'pipefail', '-c', script], { env })
    expect(code, `${command}: ${stderr}${stdout}`).toBe(0)
    return stdout
  }
}

beforeAll(async () => {
  gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  directory = await mkdtemp(join(tmpdir(), 'how-tos-'))
  const bin = join(directory, 'enos-credential-operator')
  await writeFile(bin, `#!/bin/sh\nexec ${process.execPath} ${join(root, 'dist/main.js')} "$@"\n`)
  await chmod(bin, 0o755)
  await (await harness().operator({ args: ['--no-leader-elect'] })).working()
})

afterAll(async () => {
  await rm(directory, { recursive: true })
})

/** Runs a page's commands in their order. @returns the output of each */
async function runPage(page: string, place: Place): Promise<Map<string, string>> {
  const outputs = new Map<string, string>()
  for (const command of commandsOf(page)) outputs.set(command, await place.shell(command))
  return outputs
}

describe('docs/how-to', () => {
  it('has a test for each page with commands', () => {
    expect(runPages).toEqual([
      'debug.md',
      'move-from-another-tool.md',
      'restore-from-a-backup.md',
      'rotate-an-appsecret.md',
      'share-an-appkey.md',
    ])
  })

  it('debug.md finds the state of a resource', async () => {
    const place = await Place.make('debug.md')
    const outputs = await runPage('debug.md', place)
    expect(outputs.get('kubectl get enosappcredentials')).toMatch(/wind-farm +True +Synced/)
    expect(outputs.get('kubectl describe enosappcredential wind-farm')).toContain('Synced')
    expect(outputs.get('enos-credential-operator check default/wind-farm')).toContain('The credential works.')
  })

  it('move-from-another-tool.md hands a Secret over, with the key that its pods read', async () => {
    const place = await Place.make('move-from-another-tool.md')
    await harness().createSecret(place.namespace, 'enos-legacy', { token: 'of another tool', rest: 'x' })
    const before = await harness().getSecret(place.namespace, 'enos-legacy')
    const outputs = await runPage('move-from-another-tool.md', place)
    const after = await harness().getSecret(place.namespace, 'enos-legacy')
    expect(after?.metadata.uid).toBe(before?.metadata.uid)
    const data = await harness().data(place.namespace, 'enos-legacy')
    expect(Object.keys(data ?? {})).toEqual(['token'])
    expect(gateway.service.isValid(data?.['token'] ?? '')).toBe(true)
    expect(outputs.get('kubectl get events --field-selector reason=TargetAdopted')).toContain('rest')
  })

  it('restore-from-a-backup.md keeps the restored token and its Secret', async () => {
    const place = await Place.make('restore-from-a-backup.md')
    const before = await harness().data(place.namespace, 'enos-token')
    await runPage('restore-from-a-backup.md', place)
    expect(await harness().data(place.namespace, 'enos-token')).toEqual(before)
    const secret = await harness().getSecret(place.namespace, 'enos-token')
    expect(secret?.metadata.ownerReferences).toHaveLength(1)
  })

  it('rotate-an-appsecret.md keeps Ready, and gives the new appSecret to pods that sign', async () => {
    const place = await Place.make('rotate-an-appsecret.md')
    await runPage('rotate-an-appsecret.md', place)
    await harness().expectReady(place.namespace, 'wind-farm')
    await expect
      .poll(async () => (await harness().data(place.namespace, 'enos-token'))?.['appSecret'])
      .toBe(place.keys.appSecret)
  })

  it('share-an-appkey.md sets verifyEvery, and the resource stays Ready', async () => {
    const place = await Place.make('share-an-appkey.md')
    await runPage('share-an-appkey.md', place)
    await harness().expectReady(place.namespace, 'wind-farm')
  })
})

describe('docs/examples/tutorial', () => {
  const manifests = join(root, 'docs/examples/tutorial')

  it('has manifests that a strict API server accepts, as restricted pods', async () => {
    const namespace = await harness().namespace()
    await harness().kubectl(['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted'])
    const how = ['-n', namespace, 'apply', '--dry-run=server', '--validate=strict', '-o', 'name']
    const names = await harness().kubectl([...how, '-f', manifests])
    expect(names.trim().split('\n').sort()).toEqual([
      'enosappcredential.enos.io/turbines',
      'pod/caller',
      'pod/simulator',
      'service/simulator',
    ])
  })
})

describe('the blocks of docs that no test runs', () => {
  /** Pages below docs with blocks that are marked, and how many. */
  const marked: Readonly<Record<string, number>> = {
    'debug.md': 1,
    'gitops.md': 1,
    'install.md': 1,
    'several-operators.md': 1,
  }

  it('are counted here', () => {
    const counts = pages.map((page) => {
      return [page, parseShellBlocks(textOf(page)).filter(({ notRun }) => notRun !== undefined).length] as const
    })
    expect(Object.fromEntries(counts.filter(([, count]) => count > 0))).toEqual(marked)
  })
})
