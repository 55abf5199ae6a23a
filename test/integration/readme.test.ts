import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { describeWith, findProgram } from '../monitoring/promtool.ts'
import { PageFolder, readersValues } from '../support/page-folder.ts'
import { runToEnd } from '../support/run.ts'
import { useHarness } from './harness.ts'
import type { OperatorProcess } from './operator-process.ts'
import { parseShellBlocks } from './shell-blocks.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const readme = await readFile(join(root, 'README.md'), 'utf8')

/** Commands that are run elsewhere, and where. */
const ranElsewhere: Readonly<Record<string, string>> = {
  'make demo': 'demo.test.ts',
  'make test': 'this very run',
  'npm ci': 'the Makefile',
  'npm run build': 'the global setup of these tests',
  'npm start -- run --no-leader-elect --log-format pretty': 'the operator of each of these tests',
  'npx enos-gateway-simulator --any-application --lifetime 60s': 'the gateway of each of these tests',
}

const harness = useHarness()
let operator: OperatorProcess
let folder: PageFolder

interface Block {
  readonly language: string
  readonly lines: readonly string[]
}

const blocks: Block[] = [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => {
  return { language, lines: text.trimEnd().split('\n') }
})

/** The commands of each block of the README that is run. */
const scripts = parseShellBlocks(readme).flatMap(({ commands, notRun }) => (notRun === undefined ? [commands] : []))
const commands = scripts.flat()

let manifests: readonly string[]

beforeAll(async () => {
  const gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  const keys = harness().keys()
  gateway.service.addApplication(keys)
  // As --any-application accepts it.
  gateway.service.addApplication({ appKey: 'demo', appSecret: 'secret-of-demo' })
  const namespace = await harness().namespace()
  folder = await PageFolder.create({
    assets: inject('assets'),
    kubeconfig: inject('adminKubeconfig'),
    namespace,
    replacements: [
      ...readersValues({ ...keys, gatewayUrl: gateway.url, namespace }),
      ['http://127.0.0.1:8090', gateway.url],
    ],
    clone: ['crds', 'deploy'],
  })
  manifests = await folder.writeManifests(readme)
  operator = await (await harness().operator({ args: ['--no-leader-elect', '--namespace', namespace] })).working()
})

afterAll(async () => {
  // The default install would disturb other tests.
  for (const installed of ['enos-system', 'plant-a']) {
    await harness().kubectl(['-n', installed, 'delete', 'deployment', '--all'])
  }
  await folder.remove()
})

it('every command of the README works in its order', async () => {
  const outputs = new Map<string, string>()
  for (const command of commands) {
    // Other tests share this API server.
    const isRemoval = /^kubectl (?:-n plant-a )?(?:delete|patch) /.test(command)
    if (ranElsewhere[command] === undefined) {
      outputs.set(command, await folder.shell(isRemoval ? `${command} --dry-run=server` : command))
    }
  }
  expect([...outputs.keys()].filter((command) => command.startsWith('kubectl')).length).toBeGreaterThan(3)

  const columns = (text = ''): string[] => text.trim().split(/\s{2,}/)
  const shown = blocks.find(({ language }) => language === 'text')?.lines ?? []
  const [header, ...rows] = (outputs.get('kubectl get enosappcredentials') ?? '').split('\n')
  const row = rows.find((one) => one.startsWith('wind-farm'))
  expect(columns(header)).toEqual(columns(shown[0]))
  expect(columns(row).slice(0, 4)).toEqual(columns(shown[1]).slice(0, 4))
  expect(outputs.get('enos-credential-operator status')).toContain('wind-farm')
  expect(operator.output).toContain('token received')
})

it('each of the three installations includes the CRD', async () => {
  const isWay = (command: string): boolean =>
    /^kubectl apply -k examples\/(?:overlay|namespaced)$/.test(command) || command.startsWith('npm start')
  const ways = scripts.filter((script) => script.some(isWay))
  expect(ways).toHaveLength(3)
  for (const way of ways) {
    const applied = way.slice(0, way.findIndex(isWay) + 1).filter((command) => command.startsWith('kubectl apply'))
    const names = await Promise.all(applied.map((command) => folder.shell(`${command} --dry-run=client -o name`)))
    expect(names.join(), way.join('; ')).toContain('/enosappcredentials.enos.io')
  }
})

it('every manifest of the README is accepted', async () => {
  expect(manifests.length).toBeGreaterThan(3)
  for (const path of manifests) {
    const overlay = path.replace(/\/kustomization\.yaml$/, '')
    await folder.shell(`kubectl apply --dry-run=server ${overlay === path ? '-f' : '-k'} ${overlay}`)
  }
})

const promtool = findProgram('promtool', 'PROMTOOL')

describeWith([promtool], 'a live scrape, by promtool', () => {
  it('promtool check metrics finds no fault in the metrics of a running operator', async () => {
    const input = await operator.metrics()
    expect(input).toContain('enos_credential_token_expiry_timestamp_seconds{')
    expect(await runToEnd(promtool ?? '', ['check', 'metrics'], { input })).toMatchObject({
      code: 0,
      stdout: '',
      stderr: '',
    })
  })
})

it('every metric of the README exists', async () => {
  const names = [...readme.matchAll(/^\| `(enos_\w+)/gm)].map(([, name = '']) => name)
  const metrics = await operator.metrics()
  for (const name of names) expect(metrics).toContain(`# TYPE ${name} `)
})
