import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { CommandWorld } from './command-world.ts'

const main = join(import.meta.dirname, '../../../src/main.ts')
const world = new CommandWorld()
afterEach(() => world.close())

interface Ended {
  readonly code: number | null
  readonly stderr: string
}

/** Runs a command in a shell, whose words after it say where its output goes. */
async function runShell(words: string, argv: readonly string[], folder = '/'): Promise<Ended> {
  const child = spawn('bash', ['-c', words, process.execPath, main, ...argv], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 30_000,
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stderr }
}

/** An API server with one resource, to which another comes each 100 ms. */
async function changingServer(): Promise<string> {
  const metadata = { namespace: 'plant-a', name: 'wind-farm', creationTimestamp: '2026-01-01T00:00:00Z' }
  const server = await world.stub('http', (response) => {
    response.setHeader('content-type', 'application/json')
    if (response.req.url?.includes('watch=') !== true) {
      response.end(JSON.stringify({ metadata: { resourceVersion: '1' }, items: [{ metadata, spec: {} }] }))
      return
    }
    let count = 0
    const timer = setInterval(() => {
      const object = { metadata: { ...metadata, name: `wind-farm-${count++}` }, spec: {} }
      response.write(`${JSON.stringify({ type: 'ADDED', object })}\n`)
    }, 100)
    response.once('close', () => {
      clearInterval(timer)
    })
  })
  return await world.kubeconfig(server)
}

const noSpace = 'enos-credential-operator: standard output: no space left on device\n'

describe('the output of a command', { timeout: 60_000 }, () => {
  it.each([[['--help']], [['completion', 'bash']]])('%j on a full disk fails, and says so', async (argv) => {
    expect(await runShell('"$0" "$@" > /dev/full', argv)).toEqual({ code: 1, stderr: noSpace })
  })

  it('a usage error on a full disk keeps its exit code', async () => {
    const { code, stderr } = await runShell('"$0" "$@" > /dev/full', ['nothing'])
    expect(code).toBe(2)
    expect(stderr).toContain("unknown command 'nothing'")
  })

  it('an output of which only a part could be written is a failure', async () => {
    const file = await world.file('out', '')
    const { code, stderr } = await runShell('ulimit -f 1; "$0" "$@" > out', ['completion', 'bash'], dirname(file))
    expect(code).toBe(1)
    expect(stderr).toBe('enos-credential-operator: standard output: file too large\n')
    expect(readFileSync(file)).toHaveLength(1024)
  })

  it('a file gets the whole output', async () => {
    const file = await world.file('out', '')
    expect(await runShell('"$0" "$@" > out', ['completion', 'bash'], dirname(file))).toEqual({ code: 0, stderr: '' })
    expect(readFileSync(file, 'utf8').length).toBeGreaterThan(1024)
  })

  it('a command whose reader is gone says nothing, and keeps its exit code', async () => {
    const words = '"$0" "$@" | sleep 0; exit "${PIPESTATUS[0]}"'
    expect(await runShell(`sleep 0.1; ${words}`, ['completion', 'bash'])).toEqual({ code: 0, stderr: '' })
  })

  it('status --watch ends quietly at the next change once its reader is gone', async () => {
    const argv = ['status', '--watch', '--kubeconfig', await changingServer()]
    const words = '"$0" "$@" | head -n 1 >&2; exit "${PIPESTATUS[0]}"'
    const { code, stderr } = await runShell(words, argv)
    expect(stderr).toMatch(/^\S+ plant-a\/wind-farm .*\n$/)
    expect(code).toBe(0)
  })

  it('status --watch fails once the disk is full', async () => {
    const argv = ['status', '--watch', '--kubeconfig', await changingServer()]
    expect(await runShell('"$0" "$@" > /dev/full', argv)).toEqual({ code: 1, stderr: noSpace })
  })
})
