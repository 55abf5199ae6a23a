import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { type Envelope, signed, TestClient, tokenOf } from './support.ts'

const main = join(import.meta.dirname, '../../../simulator/main.ts')
const folder = mkdtempSync(join(tmpdir(), 'simulator-'))
const children: ChildProcess[] = []

interface Run {
  readonly child: ChildProcess
  readonly out: () => string
  readonly err: () => string
  /** Resolves to the exit code. */
  readonly ended: Promise<number | null>
}

function run(flags: readonly string[], environment: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, [main, ...flags], { env: { ...process.env, ...environment } })
  children.push(child)
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
  const ended = once(child, 'close').then(([code]) => code as number | null)
  return { child, out: () => out, err: () => err, ended }
}

interface Greeting {
  readonly url: string
  readonly applications?: readonly { readonly appKey: string; readonly appSecret: string }[]
}

async function greeting(started: Run): Promise<Greeting> {
  await expect.poll(started.out, { timeout: 10_000 }).toContain('\n')
  return JSON.parse(started.out()) as Greeting
}

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

afterAll(() => {
  rmSync(folder, { recursive: true })
})

describe('enos-gateway-simulator', { timeout: 20_000 }, () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'prints its url in one line, serves, and exits with 0 on %s',
    async (signal) => {
      const keys = { appKey: 'key-1', appSecret: 'secret-1' }
      const applications = file('applications.json', JSON.stringify([keys]))
      const started = run(['--port', '0', '--applications', applications, '--lifetime', '30s'])
      const { url } = await greeting(started)
      const reply = await new TestClient(() => url, keys).get()
      expect(reply.data?.expire).toBe(30)
      expect((await fetch(`${url}/simulator/state`)).status).toBe(200)
      // A hanging call must not delay the exit.
      const faults = JSON.stringify([{ fault: { kind: 'hang' } }])
      await fetch(`${url}/simulator/faults`, { method: 'PUT', body: faults })
      const hanging = new TestClient(() => url, keys).get().catch(() => 'cut')
      await expect.poll(async () => (await (await fetch(`${url}/simulator/calls`)).text()).includes('hang')).toBe(true)
      started.child.kill(signal)
      expect(await started.ended).toBe(0)
      expect(await hanging).toBe('cut')
      expect(started.out()).toBe(`${JSON.stringify({ url })}\n`)
      expect(started.err()).toBe('')
    },
  )

  it('reads applications from the environment, and accepts any appKey with --any-application', async () => {
    const keys = { appKey: 'key-1', appSecret: 'secret-1' }
    const environment = { ENOS_SIMULATOR_APPLICATIONS: JSON.stringify([keys]) }
    const flags = ['--port', '0', '--any-application', '--edge', '--base-path', '/enos', '--refresh', 'missing']
    const { url } = await greeting(run([...flags, '--no-admin'], environment))
    expect(url).toMatch(/\/enos$/)
    expect(await new TestClient(() => url, keys).get()).toMatchObject({ status: 0, business: 'edge-iam' })
    const any = new TestClient(() => url, { appKey: 'any', appSecret: 'secret-of-any' })
    expect((await any.get()).status).toBe(0)
    expect((await any.post('refresh', 'token')).status).toBe(404)
    expect((await fetch(`${new URL(url).origin}/simulator/state`)).status).toBe(404)
  })

  it('demands the headers of a file, else of the environment', async () => {
    const keys = { appKey: 'any', appSecret: 'secret-of-any' }
    const fromFile = file('headers.json', '{"X-Key": "file-value"}')
    const environment = { ENOS_SIMULATOR_REQUIRED_HEADERS: '{"X-Key": "environment-value"}' }
    const flags = ['--port', '0', '--any-application']
    for (const [more, value] of [
      [['--required-headers', fromFile], 'file-value'],
      [[], 'environment-value'],
    ] as const) {
      const { url } = await greeting(run([...flags, ...more], environment))
      const client = new TestClient(() => url, keys)
      const statuses = [
        (await client.post('get')).status,
        (await client.post('get', undefined, { 'x-key': value })).status,
      ]
      expect(statuses).toEqual([401, 200])
    }
  })

  it('answers a refresh by the behaviour of --refresh', async () => {
    const keys = { appKey: 'any', appSecret: 'secret-of-any' }
    const refreshed = async (behaviour: string): Promise<unknown> => {
      const { url } = await greeting(run(['--port', '0', '--any-application', '--refresh', behaviour]))
      const client = new TestClient(() => url, keys)
      const token = tokenOf(await client.get())
      const reply = await client.post('refresh', token)
      const json = (await reply.json()) as Envelope
      return [reply.status, json.status, json.data?.accessToken === token]
    }
    const behaviours = ['keeps-old', 'no-prolong', 'missing-405', 'missing-status']
    expect(await Promise.all(behaviours.map(refreshed))).toEqual([
      [200, 0, false],
      [200, 0, true],
      [405, undefined, false],
      [200, 404, false],
    ])
  })

  it('accepts timestamps within --clock-window', async () => {
    const statusOf = async (flags: readonly string[]): Promise<number> => {
      const { url } = await greeting(run(['--port', '0', '--any-application', ...flags]))
      const body = JSON.stringify(signed('any', 'secret-of-any', Date.now() - 60_000))
      const reply = await fetch(`${url}/apim-token-service/v2.0/token/get`, { method: 'POST', body })
      return ((await reply.json()) as { status: number }).status
    }
    const windows = [[], ['--clock-window', '30s'], ['--clock-window', '0s']]
    expect(await Promise.all(windows.map(statusOf))).toEqual([0, 1004, 0])
  })

  it('generates applications, and prints them only with --print-applications', async () => {
    const silent = await greeting(run(['--port', '0', '--generate', '2']))
    expect(Object.keys(silent)).toEqual(['url'])
    const { url, applications = [] } = await greeting(run(['--port', '0', '--generate', '2', '--print-applications']))
    expect(applications).toHaveLength(2)
    for (const { appKey } of applications) expect(appKey).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    for (const keys of applications) expect((await new TestClient(() => url, keys).get()).status).toBe(0)
  })

  it('prints help with the appSecret rule of --any-application, and exits with 0', async () => {
    const started = run(['--help'])
    expect(await started.ended).toBe(0)
    expect(started.out()).toContain('secret-of-<appKey>')
  })

  it.each([
    [['--unknown']],
    [['stray']],
    [['--port', '70000']],
    [['--port', 'x']],
    [['--lifetime', '0']],
    [['--lifetime', '1500ms']],
    [['--latency', '5']],
    [['--refresh', 'sometimes']],
    [['--base-path', 'enos']],
    [['--tls-cert', 'cert.pem']],
    [['--tls-cert', main, '--tls-key', main]],
    [['--applications', '/nowhere/applications.json']],
    [['--required-headers', '/nowhere/headers.json']],
    [['--clock-window', '-1s']],
  ])('rejects %j in one line, with exit code 2', async (flags) => {
    const started = run(flags)
    expect(await started.ended).toBe(2)
    expect(started.err()).toMatch(/^enos-gateway-simulator: .+\n$/)
    expect(started.out()).toBe('')
  })

  it('rejects invalid applications without quoting them', async () => {
    const texts = ['{"appKey": "hidden"', '[{"appKey": "hidden"}]', '[{"appKey": "k", "appSecret": "s", "hidden": 1}]']
    for (const text of texts) {
      const started = run([], { ENOS_SIMULATOR_APPLICATIONS: text })
      expect(await started.ended).toBe(2)
      expect(started.err()).toMatch(/^enos-gateway-simulator: ENOS_SIMULATOR_APPLICATIONS: .+\n$/)
      expect(started.err()).not.toContain('hidden')
    }
  })

  it('rejects invalid required headers without quoting them', async () => {
    for (const text of ['{"hidden"', '["hidden"]', '{"X Key": "hidden"}', '{"X-Key": " hidden"}', '{"X-Key": ""}']) {
      const started = run([], { ENOS_SIMULATOR_REQUIRED_HEADERS: text })
      expect(await started.ended).toBe(2)
      expect(started.err()).toMatch(/^enos-gateway-simulator: ENOS_SIMULATOR_REQUIRED_HEADERS: .+\n$/)
      expect(started.err()).not.toContain('hidden')
    }
  })

  it('exits with 1 when the port is in use', async () => {
    const { url } = await greeting(run(['--port', '0']))
    const second = run(['--port', new URL(url).port])
    expect(await second.ended).toBe(1)
    expect(second.err()).toMatch(/^enos-gateway-simulator: --port \d+: the port is in use; .* \(EADDRINUSE\)\n$/)
  })
})
