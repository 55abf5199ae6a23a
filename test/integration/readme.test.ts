import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { runToEnd } from '../support/run.ts'
import { type Keys, useHarness } from './harness.ts'
import type { OperatorProcess } from './operator-process.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const readme = await readFile(join(root, 'README.md'), 'utf8')

/** Commands that are run elsewhere, and where. */
const ranElsewhere: Readonly<Record<string, string>> = {
  'make demo': 'demo.test.ts',
  'make test': 'this very run',
  'npm ci': 'the Makefile',
  'npm run build': 'the global setup of these tests',
  'npm start -- run --no-leader-elect': 'the operator of each of these tests',
}

const harness = useHarness()
let gateway: Simulator
let keys: Keys
let operator: OperatorProcess
/** A working directory with the files that the README refers to. */
let directory: string
let namespace: string

interface Block {
  readonly language: string
  readonly lines: readonly string[]
}

const blocks: Block[] = [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => {
  return { language, lines: text.trimEnd().split('\n') }
})

/** The commands of each block of the README, without their comments. */
const scripts = blocks
  .filter(({ language }) => language === 'sh')
  .map(({ lines }) => lines.map((line) => line.replace(/\s+#.*$/, '')))
const commands = scripts.flat()

beforeAll(async () => {
  gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  keys = harness().keys()
  gateway.service.addApplication(keys)
  namespace = await harness().namespace()
  directory = await mkdtemp(join(tmpdir(), 'readme-'))
  for (const beside of ['crds', 'deploy']) await symlink(join(root, beside), join(directory, beside))
  const bin = join(directory, 'enos-credential-operator')
  await writeFile(bin, `#!/bin/sh\nexec ${process.execPath} ${join(root, 'dist/main.js')} "$@"\n`)
  await chmod(bin, 0o755)
  const kubeconfig = await readFile(inject('adminKubeconfig'), 'utf8')
  await writeFile(join(directory, 'kubeconfig'), kubeconfig)
  await shell(`kubectl config set-context --current --namespace ${namespace}`)
  for (const { language, lines } of blocks) {
    const name = /^# (\S+\.yaml)$/.exec(lines[0] ?? '')?.[1]
    if (language === 'yaml' && name !== undefined) await writeFile(join(directory, name), here(lines.join('\n')))
  }
  operator = await (await harness().operator({ args: ['--no-leader-elect', '--namespace', namespace] })).working()
})

afterAll(async () => {
  // The default install would disturb other tests.
  await harness().kubectl(['-n', 'enos-system', 'delete', 'deployment', '--all'])
  await rm(directory, { recursive: true })
})

/** The text with the gateway, keys and namespace of this test. */
function here(text: string): string {
  return text
    .replace('url: https://apim.example.com', `url: ${gateway.url}\n    allowInsecureHTTP: true`)
    .replace('appKey=KEY', `appKey=${keys.appKey}`)
    .replace('appSecret=SECRET', `appSecret=${keys.appSecret}`)
    .replace(' default/', ` ${namespace}/`)
}

async function shell(command: string): Promise<string> {
  const path = [directory, inject('assets'), dirname(process.execPath), process.env['PATH']].join(delimiter)
  const env = { ...process.env, PATH: path, KUBECONFIG: join(directory, 'kubeconfig') }
  const { code, stderr, stdout } = await runToEnd('bash', ['-euc', `cd ${directory}; ${here(command)}`], { env })
  expect(code, `${command}: ${stderr}`).toBe(0)
  return stdout
}

it('every command of the README works in its order', async () => {
  const outputs = new Map<string, string>()
  for (const command of commands) {
    // Other tests share this API server.
    const isRemoval = command.startsWith('kubectl delete')
    if (ranElsewhere[command] === undefined) {
      outputs.set(command, await shell(isRemoval ? `${command} --dry-run=server` : command))
    }
  }
  expect([...outputs.keys()].filter((command) => command.startsWith('kubectl')).length).toBeGreaterThan(3)

  const columns = (text = ''): string[] => text.trim().split(/\s{2,}/)
  const shown = blocks.find(({ language }) => language === 'text')?.lines ?? []
  const [header, row] = (outputs.get('kubectl get enosappcredentials') ?? '').split('\n')
  expect(columns(header)).toEqual(columns(shown[0]))
  expect(columns(row).slice(0, 4)).toEqual(columns(shown[1]).slice(0, 4))
  expect(outputs.get('enos-credential-operator status')).toContain('wind-farm')
  expect(operator.output).toContain('token received')
})

it('each of the two installations includes the CRD', async () => {
  const isWay = (command: string): boolean => command === 'kubectl apply -k deploy' || command.startsWith('npm start')
  const ways = scripts.filter((script) => script.some(isWay))
  expect(ways).toHaveLength(2)
  for (const way of ways) {
    const applied = way.slice(0, way.findIndex(isWay) + 1).filter((command) => command.startsWith('kubectl apply'))
    const names = await Promise.all(applied.map((command) => shell(`${command} --dry-run=client -o name`)))
    expect(names.join(), way.join('; ')).toContain('/enosappcredentials.enos.io')
  }
})

it('every manifest of the README is accepted', async () => {
  const files = blocks.flatMap(({ language, lines }) => (language === 'yaml' ? [lines[0]?.slice(2) ?? ''] : []))
  expect(files).toEqual(['credential.yaml', 'pod.yaml', 'credential-full.yaml'])
  for (const file of files) await shell(`kubectl apply --dry-run=server -f ${file}`)
})

it('every metric of the README exists', async () => {
  const names = [...readme.matchAll(/^\| `(enos_\w+)/gm)].map(([, name = '']) => name)
  const metrics = await operator.metrics()
  for (const name of names) expect(metrics).toContain(`# TYPE ${name} `)
})
