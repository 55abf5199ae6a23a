import { spawn } from 'node:child_process'
import { access, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { findAssets, nodePrograms } from '../control-plane/assets.ts'
import { eventually } from '../integration/harness.ts'
import { run, runToEnd } from '../support/run.ts'

const scripts = fileURLToPath(new URL('../node', import.meta.url))
const ports = 24_800
let parent: string
let state: string
let programs: string

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}

/** What remains of a node: its folder, processes with its folder in their command line, mounts and cgroups. */
async function remains(): Promise<string[]> {
  const found = (await exists(state)) ? [state] : []
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (commandLine.includes(state)) found.push(`process ${pid}: ${commandLine.replaceAll('\0', ' ')}`)
  }
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n')
  found.push(...mounts.filter((line) => line.includes(state)))
  // Those of pods that end meanwhile vanish under it.
  const find = ['/sys/fs/cgroup', '-ignore_readdir_race', '-type', 'd', '-name', `enos-node-${ports}`]
  const groups = await run('find', find)
  return [...found, ...groups.split('\n').filter((line) => line !== '')]
}

function environment(owner: number): NodeJS.ProcessEnv {
  return { ...process.env, NODE_STATE: state, NODE_PORTS: String(ports), NODE_OWNER: String(owner) }
}

async function up(owner: number): Promise<void> {
  const { code, stderr } = await runToEnd(join(scripts, 'up.sh'), [programs], { env: environment(owner) })
  expect(stderr).toBe('')
  expect(code).toBe(0)
}

describe.skipIf(!inject('podCluster').sharesHostNetwork)('the test node', () => {
  beforeAll(async () => {
    programs = await findAssets({ environment: process.env, log: () => undefined, needed: nodePrograms })
    parent = await mkdtemp(join(tmpdir(), 'node-'))
    state = join(parent, 'state')
  })

  afterAll(async () => {
    await runToEnd(join(scripts, 'down.sh'), [], { env: environment(process.pid) })
    await rm(parent, { recursive: true })
  })

  it('leaves no process, mount, cgroup or file after down.sh', async () => {
    await up(process.pid)
    expect((await remains()).length).toBeGreaterThan(5)
    await runToEnd(join(scripts, 'down.sh'), [], { env: environment(process.pid) })
    expect(await remains()).toEqual([])
  })

  it('leaves nothing after its owner was killed', async () => {
    const owner = spawn('sleep', ['1000'])
    await up(owner.pid ?? 0)
    owner.kill('SIGKILL')
    await eventually(async () => expect(await remains()).toEqual([]), 30_000, 500)
  })
})
