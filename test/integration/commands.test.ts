import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { version } from '../../src/version.ts'
import type { Simulator } from '../../simulator/server.ts'
import { selfSigned } from '../support/certificate.ts'
import { runToEnd } from '../support/run.ts'
import { type Keys, useHarness } from './harness.ts'

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
const harness = useHarness()
let gateway: Simulator
let namespace: string
let keys: Keys
let directory: string
/** Everything that the commands printed. */
let printed = ''

beforeAll(async () => {
  gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  namespace = await harness().namespace()
  directory = await mkdtemp(join(tmpdir(), 'commands-'))
  keys = harness().keys()
  gateway.service.addApplication(keys)
})

afterAll(async () => {
  await rm(directory, { recursive: true })
  expect(printed).not.toMatch(/APP_PORTAL_S_|k3y-|s3cr3t-/)
})

interface Given {
  readonly env?: NodeJS.ProcessEnv
  readonly input?: string
}

async function command(args: readonly string[], { env = {}, input = '' }: Given = {}) {
  const surroundings = { PATH: process.env['PATH'], KUBECONFIG: inject('adminKubeconfig'), ...env }
  const result = await runToEnd(process.execPath, [main, ...args], { env: surroundings, input })
  printed += result.stdout + result.stderr
  return result
}

const keysOf = ({ appKey, appSecret }: Keys): NodeJS.ProcessEnv => ({
  ENOS_APP_KEY: appKey,
  ENOS_APP_SECRET: appSecret,
})

interface Step {
  readonly step: string
  readonly result: string
  readonly detail: string
  readonly advice?: string
}

/** Runs check. @returns its exit code, the results by step, and the steps themselves */
async function check(args: readonly string[], given?: Given) {
  const { code, stderr, stdout } = await command(['check', '--output', 'json', ...args], given)
  expect(stderr).toBe('')
  const report = JSON.parse(stdout) as { ok: boolean; steps: Step[] }
  expect(report.ok).toBe(code === 0)
  const results = Object.fromEntries(report.steps.map(({ result, step }) => [step, result]))
  const find = (name: string): Step | undefined => report.steps.find(({ step }) => step === name)
  return { code, results, find }
}

const insecure = (url: string): string[] => ['--gateway', url, '--allow-insecure-http']
const allGood = {
  reach: 'ok',
  tls: 'skipped',
  clock: 'ok',
  appKey: 'ok',
  appSecret: 'ok',
  get: 'ok',
  refresh: 'skipped',
}

describe('check', () => {
  it('of a credential that works says so, with keys from the environment', async () => {
    const { code, find, results } = await check(insecure(gateway.url), { env: keysOf(keys) })
    expect({ code, results }).toEqual({ code: 0, results: allGood })
    expect(find('get')?.detail).toBe('a token with 2h to live')
    expect(gateway.calls.filter(({ operation }) => operation === 'refresh')).toEqual([])
  })

  it('takes appKey and appSecret from files and from standard input', async () => {
    const file = join(directory, 'app-key')
    await writeFile(file, `${keys.appKey}\n`)
    const files = ['--app-key-file', file, '--app-secret-file', '-']
    const { code } = await check([...insecure(gateway.url), ...files], { input: `${keys.appSecret}\n` })
    expect(code).toBe(0)
  })

  it('tries a refresh when it is asked to', async () => {
    const { code, results } = await check([...insecure(gateway.url), '--refresh'], { env: keysOf(keys) })
    expect({ code, refresh: results['refresh'] }).toEqual({ code: 0, refresh: 'ok' })
  })

  it('prints lines for people', async () => {
    const { stdout } = await command(['check', ...insecure(gateway.url)], { env: keysOf(keys) })
    expect(stdout.split('\n')).toEqual([
      `ok      reach      ${gateway.url} can be reached`,
      '-       tls        http: appKey and token travel in clear',
      expect.stringMatching(/^ok {6}clock {6}the gateway’s is \d+s (?:ahead|behind)$/) as string,
      'ok      appKey     the gateway knows it',
      'ok      appSecret  it belongs to the appKey',
      expect.stringMatching(/^ok {6}get {8}a token with (?:2h|1h59m\d*s?) to live$/) as string,
      '-       refresh    not asked for (--refresh); it may end the life of the present token',
      '',
      'The credential works.',
      '',
    ])
  })

  it('finds an appKey that is not known', async () => {
    const { code, find, results } = await check(insecure(gateway.url), { env: keysOf(harness().keys()) })
    expect({ code, results }).toMatchObject({
      code: 1,
      results: { reach: 'ok', appKey: 'failed', appSecret: 'unknown' },
    })
    expect(find('appKey')?.detail).toContain('1002')
    expect(find('appKey')?.advice).toContain('Check the appKey')
  })

  it('finds an appSecret that does not belong to the appKey', async () => {
    const env = keysOf({ ...keys, appSecret: harness().keys().appSecret })
    const { code, results } = await check(insecure(gateway.url), { env })
    expect({ code, results }).toMatchObject({ code: 1, results: { appKey: 'ok', appSecret: 'failed', get: 'failed' } })
  })

  it('finds a gateway that is not there', async () => {
    const { code, find, results } = await check(insecure('http://127.0.0.1:1'), { env: keysOf(keys) })
    expect({ code, results }).toMatchObject({
      code: 1,
      results: { reach: 'failed', appKey: 'unknown', get: 'unknown' },
    })
    expect(find('reach')?.detail).toContain('ECONNREFUSED')
  })

  it('finds a certificate that is not trusted, and trusts a CA that is given', async () => {
    const tls = selfSigned()
    const secure = await harness().gateway({ tls, applications: [keys] })
    const unknown = await check(['--gateway', secure.url], { env: keysOf(keys) })
    expect(unknown).toMatchObject({ code: 1, results: { reach: 'ok', tls: 'failed', get: 'unknown' } })
    expect(unknown.find('tls')?.advice).toContain('--ca-file')
    const file = join(directory, 'ca.pem')
    await writeFile(file, tls.cert)
    const trusted = await check(['--gateway', secure.url, '--ca-file', file], { env: keysOf(keys) })
    expect(trusted).toMatchObject({ code: 0, results: { tls: 'ok', get: 'ok' } })
  })

  it('finds clocks that differ', async () => {
    const late = await harness().gateway({ applications: [keys], clockOffsetMs: -600_000 })
    const { code, find, results } = await check(insecure(late.url), { env: keysOf(keys) })
    expect({ code, clock: results['clock'] }).toEqual({ code: 1, clock: 'failed' })
    expect(find('clock')?.detail).toMatch(/^the gateway’s is (?:10m|9m\d+s) behind$/)
  })

  it('finds a gateway without refresh', async () => {
    const edge = await harness().gateway({ applications: [keys], hasRefresh: false })
    const { code, find } = await check([...insecure(edge.url), '--refresh'], { env: keysOf(keys) })
    expect(code).toBe(1)
    expect(find('refresh')?.detail).toBe('the gateway has no refresh (HTTP 404)')
  })

  it('checks what a resource has', async () => {
    await harness().createCredential(namespace, 'checked', gateway, keys)
    const { code, results } = await check(['--resource', `${namespace}/checked`])
    expect({ code, results }).toEqual({ code: 0, results: { resource: 'ok', sources: 'ok', ...allGood } })
  })

  it('says which source a resource lacks', async () => {
    await harness().createCredential(namespace, 'lacking', gateway, keys)
    await harness().patchSecret(namespace, 'lacking-app', { data: { appSecret: null } })
    const missingKey = await check(['--resource', `${namespace}/lacking`])
    expect(missingKey).toMatchObject({ code: 1, results: { resource: 'ok', sources: 'failed' } })
    expect(missingKey.find('sources')?.detail).toBe('spec.appSecretRef: key appSecret of Secret lacking-app is missing')
    await harness().deleteSecret(namespace, 'lacking-app')
    const missing = await check(['--resource', `${namespace}/lacking`])
    expect(missing.find('sources')?.detail).toContain(`there is no Secret lacking-app in namespace ${namespace}`)
  })
})

describe('renew and status', () => {
  it('status shows what no operator has seen, and that there is nothing', async () => {
    await harness().createCredential(namespace, 'unseen', gateway, keys)
    const { code, stdout } = await command(['status', '--namespace', namespace])
    expect(code).toBe(0)
    expect(stdout).toContain(`${namespace}/unseen: no operator has looked at it yet`)
    expect((await command(['status', '-n', 'default'])).stdout).toBe('No EnosAppCredentials.\n')
  })

  it('renew without an operator says so when it waited', async () => {
    const { code, stdout } = await command(['renew', `${namespace}/unseen`, '--wait', '--timeout', '500ms'])
    expect(code).toBe(1)
    expect(stdout).toContain('the operator has not tried it yet')
  })

  it('renew has a token renewed, and says until when it is valid', async () => {
    const other = await harness().namespace()
    await harness().operator({ args: ['--no-leader-elect', '--namespace', other] })
    await harness().createCredential(other, 'renewed', gateway, keys)
    await harness().expectReady(other, 'renewed')
    const before = await harness().getCredential(other, 'renewed')
    const { code, stdout } = await command(['renew', `${other}/renewed`, '--wait'])
    const after = await harness().getCredential(other, 'renewed')
    expect(stdout).toBe(
      `${other}/renewed: renewal requested\n${other}/renewed: renewed, valid until ${after.status?.expiresAt}\n`,
    )
    expect(code).toBe(0)
    expect(after.status?.tokenFingerprint).not.toBe(before.status?.tokenFingerprint)

    const table = (await command(['status', '-n', other])).stdout.split('\n')
    expect(table[0]).toMatch(/^NAMESPACE +NAME +READY +EXPIRES IN +RENEWS IN +TARGETS +REASON$/)
    expect(table[1]).toMatch(
      new RegExp(`^${other} +renewed +True +(?:2h|1h59m\\d*s?) +1h3\\dm\\d*s? +renewed-token +Synced$`),
    )
    expect(table.at(-2)).toBe('1 of 1 ready')
    const rows = JSON.parse((await command(['status', '-n', other, '--output', 'json'])).stdout) as object[]
    expect(rows).toEqual([expect.objectContaining({ namespace: other, name: 'renewed', ready: 'True' })])
  })

  it('renew says why it failed', async () => {
    const other = await harness().namespace()
    await harness().operator({ args: ['--no-leader-elect', '--namespace', other] })
    await harness().createCredential(other, 'failing', gateway, harness().keys())
    const { code, stdout } = await command(['renew', `${other}/failing`, '--wait'])
    expect(code).toBe(1)
    expect(stdout).toContain('not renewed: AppKeyNotFound: ')
    const status = (await command(['status', '-n', other])).stdout
    expect(status).toContain('AppKeyNotFound')
    expect(status).toContain('0 of 1 ready')
  })
})

describe('every command', () => {
  it.each(['run', 'check', 'renew', 'status'])('%s has a help with examples', async (name) => {
    const { code, stdout } = await command([name, '--help'])
    expect(code).toBe(0)
    expect(stdout).toContain(`Usage: enos-credential-operator ${name}`)
    expect(stdout).toContain(`Examples:\n  enos-credential-operator ${name}`)
  })

  it('is in the help, beside the version', async () => {
    expect((await command(['--version'])).stdout).toBe(`${version}\n`)
    const { code, stdout } = await command(['--help'])
    expect(code).toBe(0)
    for (const name of ['run', 'check', 'renew', 'status']) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'))
  })

  const http = ['--gateway', 'http://edge.example.com']
  it.each([
    [[], 'name a command'],
    [['walk'], 'walk'],
    [['--verbose'], '--verbose'],
    [['run', '--verbose'], '--verbose'],
    [['run', 'now'], 'too many arguments'],
    [['run', '--log-level', 'loud'], '--log-level: seen "loud", expected one of'],
    [['run', '--max-concurrent-reconciles', '0'], 'expected a whole number'],
    [['check'], 'name what to check'],
    [['check', '--app-secret', 'x'], '--app-secret'],
    [['check', '--gateway', 'apim.example.com'], '--gateway: expected http(s)://host'],
    [['check', ...http], '--gateway: http:// needs --allow-insecure-http'],
    [['check', ...http, '--resource', 'a/b'], 'cannot be used with'],
    [['check', ...http, '--allow-insecure-http'], 'ENOS_APP_KEY is not set'],
    [['check', ...http, '--timeout', 'soon'], '--timeout: seen "soon", expected a duration'],
    [['check', ...http, '--output', 'yaml'], 'Allowed choices are text, json'],
    [['check', '--resource', 'a/b/c'], 'expected a resource as namespace/name'],
    [['check', '--resource', 'default/nobody'], 'there is no EnosAppCredential default/nobody'],
    [['renew'], 'missing required argument'],
    [['renew', 'A'], 'expected a resource as namespace/name'],
    [['renew', 'a', 'b'], 'too many arguments'],
    [['renew', 'a', '--timeout', '0s'], '--timeout: seen "0s"'],
    [['status', 'all'], 'too many arguments'],
    [['status', '--output', 'wide'], 'Allowed choices are text, json'],
  ])('refuses %j in one line', async (args, message) => {
    const { code, stderr, stdout } = await command(args)
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain(message)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  })

  it.each([
    [['status', '--kubeconfig', '/nowhere'], '/nowhere'],
    [['renew', 'default/nobody'], '404'],
  ])('tells in one line what it cannot do: %j', async (args, message) => {
    const { code, stderr } = await command(args)
    expect(code).toBe(1)
    expect(stderr).toContain(message)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  })
})
