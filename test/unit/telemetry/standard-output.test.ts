import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { freePort } from '../../support/free-port.ts'

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))

/** A kubeconfig of an API server that does not answer. */
const kubeconfig = `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}], users: [{name: u, user: {token: t}}]}`

/** Runs the operator in a shell. @param before fills a pipe first @param output where its standard output goes */
async function start(format: string, before: string, output: string) {
  const directory = mkdtempSync(join(tmpdir(), 'standard-output-'))
  writeFileSync(join(directory, 'config'), kubeconfig)
  const port = await freePort()
  const flags = ['--no-leader-elect', '--metrics-bind-address', '0', '--log-format', format]
  const args = ['run', '--kubeconfig', join(directory, 'config'), ...flags]
  const inner = `echo $$ >&2; ${before}; exec "$@"`
  const shell = spawn(
    'sh',
    ['-c', `sh -c '${inner}' inner "$@" ${output}`, 'outer', process.execPath, main, ...args].concat([
      '--health-probe-bind-address',
      `127.0.0.1:${port}`,
    ]),
    { detached: true, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let errors = ''
  shell.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  onTestFinished(() => {
    try {
      process.kill(-(shell.pid ?? 0), 'SIGKILL')
    } catch {
      // All its processes have ended.
    }
    rmSync(directory, { recursive: true })
  })
  const probe = async (): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(1000) })
    return response.status
  }
  const pid = (): number => Number(errors.split('\n')[0])
  const isRunning = (): boolean => {
    try {
      return process.kill(pid(), 0)
    } catch {
      return false
    }
  }
  return { probe, pid, isRunning, errors: () => errors }
}

describe('operator with a broken standard output', () => {
  it.each([
    ['a full pipe, as of a reader that is stopped', 'json', 'head -c 65536 /dev/zero', '| sleep 60'],
    ['a full pipe, as of a reader that is stopped', 'pretty', 'head -c 65536 /dev/zero', '| sleep 60'],
    ['a closed pipe, as of `| head`', 'json', 'sleep 0.5', '| true'],
    ['a closed pipe, as of `| head`', 'pretty', 'sleep 0.5', '| true'],
    ['a device that is full', 'json', 'true', '> /dev/full'],
    ['a device that is full', 'pretty', 'true', '> /dev/full'],
  ])('works and stops while it is %s (%s)', { timeout: 60_000 }, async (_which, format, before, output) => {
    const { errors, isRunning, pid, probe } = await start(format, before, output)
    await vi.waitFor(async () => expect(await probe()).toBe(200), { timeout: 30_000, interval: 100 })
    process.kill(pid(), 'SIGTERM')
    await vi.waitFor(() => expect(isRunning()).toBe(false), { timeout: 10_000, interval: 50 })
    expect(errors()).toBe(`${pid()}\n`)
  })
})

const hasTerminal = spawnSync('script', ['--version']).status === 0

describe.skipIf(!hasTerminal && process.env['CI'] === undefined)('operator in a terminal', { timeout: 60_000 }, () => {
  it('works while Ctrl-S stops the terminal, and writes what it logged meanwhile', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'standard-output-'))
    onTestFinished(() => {
      rmSync(directory, { recursive: true })
    })
    writeFileSync(join(directory, 'config'), kubeconfig)
    const port = await freePort()
    const flags = `--no-leader-elect --metrics-bind-address 0 --health-probe-bind-address 127.0.0.1:${port} --log-level debug`
    const command = `exec '${process.execPath}' '${main}' run --kubeconfig '${directory}/config' ${flags}`
    const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    onTestFinished(() => {
      child.kill('SIGKILL')
    })
    const closed = once(child, 'close')
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    const lines = (): number => output.split('\n').length
    await vi.waitFor(() => expect(output).toContain('list or watch failed'), { timeout: 30_000, interval: 50 })
    child.stdin.write('\u0013')
    const before = await settled(lines)
    const response = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(2000) })
    expect([response.status, lines()]).toEqual([200, before])
    child.stdin.write('\u0011')
    await vi.waitFor(() => expect(lines()).toBeGreaterThan(before), { timeout: 5000, interval: 50 })
    child.stdin.write('\u0003')
    expect(await closed).toEqual([0, null])
    expect(output).toContain('"msg":"stopped"')
  })
})

/** Waits until a count stands still for as long as some attempts on the API server take. */
async function settled(count: () => number): Promise<number> {
  for (;;) {
    const before = count()
    await new Promise((resolve) => setTimeout(resolve, 3000))
    if (count() === before) return before
  }
}
