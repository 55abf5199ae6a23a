import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { CommandWorld } from './command-world.ts'

const main = join(import.meta.dirname, '../../../src/main.ts')
const world = new CommandWorld()
afterEach(() => world.close())

/** Runs a command in a terminal of util-linux, and types Ctrl-C when its output matches. @returns the output */
async function inTerminal(
  argv: readonly string[],
  interruptedAt: RegExp,
  environment: NodeJS.ProcessEnv,
): Promise<string> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(?:CI|FORCE_COLOR|NO_COLOR)$/.test(name))
  const command = [process.execPath, main, ...argv].map((word) => `'${word}'`).join(' ')
  const child = spawn('script', ['--quiet', '--return', '--command', `exec ${command}`, '/dev/null'], {
    env: { ...Object.fromEntries(inherited), TERM: 'xterm-256color', ...environment },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (!child.stdin.writableEnded && interruptedAt.test(output)) child.stdin.end('\u0003')
  })
  await closed
  return output
}

/** Of an API server that has one resource, without a status, and tells of no change. */
function answer(response: ServerResponse): void {
  if (response.req.url?.includes('watch=') === true) return
  const metadata = { namespace: 'plant-a', name: 'wind-farm', creationTimestamp: '2026-01-01T00:00:00Z' }
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ metadata: { resourceVersion: '1' }, items: [{ metadata, spec: {} }] }))
}

const hasTerminal = spawnSync('script', ['--version']).status === 0

describe.skipIf(!hasTerminal && process.env['CI'] === undefined)('a command in a terminal', { timeout: 60_000 }, () => {
  const keys = { ENOS_APP_KEY: 'key', ENOS_APP_SECRET: 'secret' }

  it.each([
    ['says what it waits for in a line that is gone afterwards', {}, true],
    ['says nothing meanwhile where TERM is dumb', { TERM: 'dumb' }, false],
  ])('%s', async (_, environment, isSaid) => {
    const never = await world.stub('http', () => undefined)
    const argv = ['check', '--gateway', never, '--allow-insecure-http', '--timeout', '1500ms']
    const output = await inTerminal(argv, /$^/, { ...keys, ...environment })
    expect(output.startsWith('\r\u001b[Kwaiting for the gateway (1s)\r\u001b[K')).toBe(isSaid)
    expect(output).toContain('no answer in time')
  })

  it.each([
    ['has colours', {}, true],
    ['has no colours with NO_COLOR', { NO_COLOR: '1' }, false],
  ])('status --watch %s', async (_, environment, isColoured) => {
    const kubeconfig = await world.kubeconfig(await world.stub('http', answer))
    const argv = ['status', '--watch', '--kubeconfig', kubeconfig]
    const output = await inTerminal(argv, /0 of 1 ready/, environment)
    expect(output).toContain('plant-a/wind-farm')
    expect(output.includes('\u001b[31m')).toBe(isColoured)
    expect(output, 'the screen of before').toMatch(/\u001b\[\?1049l$/)
  })
})
