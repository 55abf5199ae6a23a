import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { PageFolder, readersValues, type Replacements } from '../support/page-folder.ts'
import { eventually, type Keys, useHarness } from './harness.ts'
import { parseShellBlocks } from './shell-blocks.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const howTos = join(root, 'docs/how-to')
const pages = (await readdir(howTos)).sort()
const texts = new Map<string, string>()
for (const page of pages) texts.set(page, await readFile(join(howTos, page), 'utf8'))
/** Run by test/charts/pages.test.ts. */
const helmPages = ['install.md', 'monitor.md', 'upgrade.md']
/** Pages with blocks that are run here, each as a user of a namespace of its own with a Ready resource `wind-farm`. */
const runPages = pages.filter((page) => commandsIn(textOf(page)).length > 0 && !helmPages.includes(page))

const harness = useHarness()
let gateway: Simulator

function textOf(page: string): string {
  return texts.get(page) ?? ''
}

/** The commands of a page that are run. */
function commandsIn(text: string): string[] {
  const blocks = parseShellBlocks(text).filter(({ notRun }) => notRun === undefined)
  return blocks.flatMap(({ commands }) => commands)
}

/** The reader of a page: a namespace with a Ready resource `wind-farm`, an application, and a folder with the manifests. */
interface Reader {
  readonly namespace: string
  readonly keys: Keys
  readonly folder: PageFolder
}

const folders: PageFolder[] = []

async function folderOf(namespace: string, replacements: Replacements): Promise<PageFolder> {
  const folder = await PageFolder.create({
    assets: inject('assets'),
    kubeconfig: inject('adminKubeconfig'),
    namespace,
    replacements,
  })
  folders.push(folder)
  return folder
}

async function readerOf(text: string): Promise<Reader> {
  const keys = harness().keys()
  gateway.service.addApplication(keys)
  const namespace = await harness().namespace()
  const folder = await folderOf(namespace, readersValues({ ...keys, gatewayUrl: gateway.url, namespace }))
  await folder.writeManifests(text)
  await harness().createSecret(namespace, 'enos-app', { ...keys })
  const refs = { appKeyRef: { name: 'enos-app' }, appSecretRef: { name: 'enos-app' } }
  const targets = [{ name: 'enos-token' }]
  await harness().createCredential(namespace, 'wind-farm', gateway, keys, { ...refs, targets })
  await harness().expectReady(namespace, 'wind-farm')
  return { namespace, keys, folder }
}

beforeAll(async () => {
  gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  await (await harness().operator({ args: ['--no-leader-elect'] })).working()
})

afterAll(async () => {
  for (const folder of folders) await folder.remove()
})

/** Runs a page's commands in their order. @returns the output of each */
async function runPage(page: string, { folder }: Pick<Reader, 'folder'>): Promise<Map<string, string>> {
  const outputs = new Map<string, string>()
  for (const command of commandsIn(textOf(page))) outputs.set(command, await folder.shell(command))
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
    const reader = await readerOf(textOf('debug.md'))
    const outputs = await runPage('debug.md', reader)
    expect(outputs.get('kubectl get enosappcredentials')).toMatch(/wind-farm +True +Synced/)
    expect(outputs.get('kubectl describe enosappcredential wind-farm')).toContain('Synced')
    expect(outputs.get('enos-credential-operator check default/wind-farm')).toContain('The credential works.')
  })

  it('move-from-another-tool.md hands a Secret over, with the key that its pods read', async () => {
    const reader = await readerOf(textOf('move-from-another-tool.md'))
    await harness().createSecret(reader.namespace, 'enos-legacy', { token: 'of another tool', rest: 'x' })
    const before = await harness().getSecret(reader.namespace, 'enos-legacy')
    await runPage('move-from-another-tool.md', reader)
    const after = await harness().getSecret(reader.namespace, 'enos-legacy')
    expect(after?.metadata.uid).toBe(before?.metadata.uid)
    const data = await harness().data(reader.namespace, 'enos-legacy')
    expect(Object.keys(data ?? {})).toEqual(['token'])
    expect(gateway.service.isValid(data?.['token'] ?? '')).toBe(true)
    const command = 'kubectl get events --field-selector reason=TargetAdopted'
    expect(commandsIn(textOf('move-from-another-tool.md'))).toContain(command)
    // Events follow the status.
    await eventually(async () => expect(await reader.folder.shell(command)).toContain('rest'))
  })

  it('restore-from-a-backup.md keeps the restored token and its Secret', async () => {
    const reader = await readerOf(textOf('restore-from-a-backup.md'))
    const before = await harness().data(reader.namespace, 'enos-token')
    await runPage('restore-from-a-backup.md', reader)
    expect(await harness().data(reader.namespace, 'enos-token')).toEqual(before)
    const secret = await harness().getSecret(reader.namespace, 'enos-token')
    expect(secret?.metadata.ownerReferences).toHaveLength(1)
  })

  it('rotate-an-appsecret.md keeps Ready, and gives the new appSecret to pods that sign', async () => {
    const reader = await readerOf(textOf('rotate-an-appsecret.md'))
    await runPage('rotate-an-appsecret.md', reader)
    await harness().expectReady(reader.namespace, 'wind-farm')
    await eventually(async () => {
      const data = await harness().data(reader.namespace, 'enos-token')
      expect(data?.['appSecret']).toBe(reader.keys.appSecret)
    })
  })

  it('share-an-appkey.md sets verifyEvery, and the resource stays Ready', async () => {
    const reader = await readerOf(textOf('share-an-appkey.md'))
    await runPage('share-an-appkey.md', reader)
    await harness().expectReady(reader.namespace, 'wind-farm')
  })
})

describe('docs/tutorial.md', () => {
  it('leads to a Ready resource, breaks its gateway, and mends it', async () => {
    const simulator = await harness().gateway({ lifetimeSeconds: 20 })
    simulator.service.addApplication({ appKey: 'turbines', appSecret: 'secret-of-turbines' })
    const namespace = await harness().namespace()
    const folder = await folderOf(namespace, [['http://simulator:8090', simulator.url]])
    const examples = 'docs/examples/tutorial'
    for (const name of await readdir(join(root, examples))) {
      await folder.write(join(examples, name), await readFile(join(root, examples, name), 'utf8'))
    }
    const outputs = new Map<string, string>()
    for (const command of commandsIn(await readFile(join(root, 'docs/tutorial.md'), 'utf8'))) {
      if (command.includes('simulator.yaml')) await simulator.setOutage(false)
      outputs.set(command, await folder.shell(command))
      if (command !== 'kubectl delete pod simulator') continue
      // No node runs the pod here.
      await simulator.setOutage(true)
      await folder.shell('kubectl wait --for=condition=RenewalHealthy=false enosappcredential/turbines')
    }
    expect(outputs.size).toBe(8)
    expect(outputs.get('kubectl describe enosappcredential turbines')).toContain('GatewayUnreachable')
    const data = await harness().data(namespace, 'turbines-token')
    expect(simulator.service.isValid(data?.['accessToken'] ?? '')).toBe(true)
  })

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

/** Their commands need a credential and a gateway, but no pod of the operator. */
const runbooks = [
  'EnosCredentialTokenExpired.md',
  'EnosCredentialTokenExpiresSoon.md',
  'EnosCredentialServedWhileExpired.md',
  'EnosCredentialRenewalFailing.md',
  'EnosCredentialNotReady.md',
  'EnosCredentialStalled.md',
  'EnosCredentialTargetContested.md',
  'EnosGatewayFailing.md',
]

describe('docs/runbooks', () => {
  let folder: PageFolder

  beforeAll(async () => {
    const keys = harness().keys()
    gateway.service.addApplication(keys)
    const namespace = await harness().namespace()
    const wrong = { ...keys, appSecret: harness().keys().appSecret }
    await harness().createCredential(namespace, 'wind-farm', gateway, wrong)
    folder = await folderOf(namespace, [
      ['NAMESPACE=plant-a', `NAMESPACE=${namespace}`],
      ['GATEWAY=https://apim.example.com', `GATEWAY=${gateway.url}`],
    ])
    await folder.shell('kubectl wait --for=condition=Stalled enosappcredential/wind-farm')
  })

  it.each(runbooks)('%s leads to the reason', async (page) => {
    const commands = commandsIn(await readFile(join(root, 'docs/runbooks', page), 'utf8'))
    const isVariable = (command: string): boolean => /^[A-Z]+=/.test(command)
    const variables = commands.filter(isVariable)
    expect(variables.length).toBeGreaterThan(0)
    let output = ''
    for (const command of commands.filter((candidate) => !isVariable(candidate))) {
      const { code, stderr, stdout } = await folder.shellToEnd([...variables, command].join('\n'))
      expect(code, `${command}: ${stderr}`).toBe(command.includes(' check ') ? 1 : 0)
      output += stdout
    }
    expect(output).toContain('InvalidAppSecret')
  })
})

describe('the commands of kubectl that no test runs', () => {
  it('have flags that kubectl knows', async () => {
    const documents = (await readdir(join(root, 'docs'), { recursive: true })).filter((name) => name.endsWith('.md'))
    const paths = ['README.md', 'CONTRIBUTING.md', ...documents.map((name) => join('docs', name))]
    const helps = new Map<string, string>()
    const general = await harness().kubectl(['options'])
    for (const path of paths) {
      const blocks = parseShellBlocks(await readFile(join(root, path), 'utf8'))
      const commands = blocks.filter(({ notRun }) => notRun !== undefined).flatMap((block) => block.commands)
      for (const command of commands.filter((one) => one.startsWith('kubectl '))) {
        const own = command.replace(/ \| .*/, '')
        const [verb = '', noun = ''] = own
          .replaceAll(/ (?:-n|--namespace) \S+/g, '')
          .split(' ')
          .slice(1)
        const subcommand = /^(?:rollout|auth|top|set|create)$/.test(verb) ? [verb, noun] : [verb]
        const key = subcommand.join(' ')
        const help = helps.get(key) ?? (await harness().kubectl([...subcommand, '--help']))
        helps.set(key, help)
        for (const [, flag = ''] of own.matchAll(/ (--[a-z-]+)/g)) {
          expect(`${help}${general}`, `${path}: ${command}`).toContain(`${flag}=`)
        }
      }
    }
    expect(helps.size).toBeGreaterThan(5)
  })
})
