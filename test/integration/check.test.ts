import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect as connectTo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { selfSigned } from '../support/certificate.ts'
import { type Given, keysOf, useCommands } from './command-line.ts'
import { type Keys, useHarness } from './harness.ts'

const harness = useHarness()
const command = useCommands()
let gateway: Simulator
let namespace: string
let keys: Keys
let directory: string

beforeAll(async () => {
  gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  namespace = await harness().namespace()
  directory = await mkdtemp(join(tmpdir(), 'check-'))
  keys = harness().keys()
  gateway.service.addApplication(keys)
})

afterAll(async () => {
  await rm(directory, { recursive: true })
})

interface Step {
  readonly step: string
  readonly result: string
  readonly detail: string
  readonly advice?: string
}

/** Runs check. @returns exit code, results by step, and a lookup of steps */
async function check(args: readonly string[], given?: Given) {
  const { code, stderr, stdout } = await command(['check', '--output', 'json', ...args], given)
  expect(stderr).toBe('')
  const report = JSON.parse(stdout) as { ok: boolean; outcome: string; steps: Step[] }
  expect(report.ok).toBe(code === 0)
  expect(report.outcome).toBe({ 0: 'works', 1: 'fails', 3: 'unchecked' }[code ?? -1])
  const results = Object.fromEntries(report.steps.map(({ result, step }) => [step, result]))
  const find = (name: string): Step | undefined => report.steps.find(({ step }) => step === name)
  return { code, results, find }
}

/** Starts a CONNECT proxy that ends with the test. @returns its port and the hosts it was asked for */
async function startProxy(): Promise<{ readonly port: number; readonly seen: string[] }> {
  const seen: string[] = []
  const proxy = createServer().on('connect', (request, socket, head) => {
    seen.push(request.url ?? '')
    const { hostname, port } = new URL(`http://${request.url ?? ''}`)
    const upstream = connectTo(Number(port), hostname, () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      upstream.write(head)
      upstream.pipe(socket).pipe(upstream)
    })
    for (const one of [upstream, socket]) one.on('error', () => socket.destroy())
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  onTestFinished(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  return { port: (proxy.address() as AddressInfo).port, seen }
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

describe('check --gateway', () => {
  it('reports a working credential with keys from the environment', async () => {
    const { code, find, results } = await check(insecure(gateway.url), { env: keysOf(keys) })
    expect({ code, results }).toEqual({ code: 0, results: allGood })
    expect(find('get')?.detail).toBe('token valid for 2h')
    expect(gateway.calls.filter(({ operation }) => operation === 'refresh')).toEqual([])
  })

  it('reads appKey and appSecret from files and from standard input', async () => {
    const file = join(directory, 'app-key')
    await writeFile(file, `${keys.appKey}\n`)
    const files = ['--app-key-file', file, '--app-secret-file', '-']
    const { code } = await check([...insecure(gateway.url), ...files], { input: `${keys.appSecret}\n` })
    expect(code).toBe(0)
  })

  it('calls refresh with --refresh', async () => {
    const { code, results } = await check([...insecure(gateway.url), '--refresh'], { env: keysOf(keys) })
    expect({ code, refresh: results['refresh'] }).toEqual({ code: 0, refresh: 'ok' })
  })

  it('prints a line for each step', async () => {
    const { stdout } = await command(['check', ...insecure(gateway.url)], { env: keysOf(keys) })
    expect(stdout.split('\n')).toEqual([
      `ok      reach      ${gateway.url} is reachable`,
      '-       tls        http: appKey and token are sent unencrypted',
      expect.stringMatching(/^ok {6}clock {6}the gateway’s clock is \d+s (?:ahead|behind)$/) as string,
      'ok      appKey     known to the gateway',
      'ok      appSecret  belongs to the appKey',
      expect.stringMatching(/^ok {6}get {8}token valid for (?:2h|1h59m\d*s?)$/) as string,
      '-       refresh    not requested (--refresh): it replaces the token',
      '',
      'The credential works.',
      '',
    ])
  })

  it('reports an unknown appKey', async () => {
    const { code, find, results } = await check(insecure(gateway.url), { env: keysOf(harness().keys()) })
    expect({ code, results }).toMatchObject({
      code: 1,
      results: { reach: 'ok', appKey: 'failed', appSecret: 'unknown' },
    })
    expect(find('appKey')?.detail).toContain('1002')
    expect(find('appKey')?.advice).toContain('Correct ENOS_APP_KEY')
    expect(find('get')?.detail).toBe('no token: see appKey')
  })

  it('reports an appSecret that does not belong to the appKey', async () => {
    const env = keysOf({ ...keys, appSecret: harness().keys().appSecret })
    const { code, results } = await check(insecure(gateway.url), { env })
    expect({ code, results }).toMatchObject({ code: 1, results: { appKey: 'ok', appSecret: 'failed', get: 'failed' } })
  })

  it('reports a refused connection', async () => {
    const { code, find, results } = await check(insecure('http://127.0.0.1:1'), { env: keysOf(keys) })
    expect({ code, results }).toMatchObject({
      code: 1,
      results: { reach: 'failed', appKey: 'unknown', get: 'unknown' },
    })
    expect(find('reach')?.detail).toContain('connection refused (ECONNREFUSED)')
  })

  it('reports an unknown host', async () => {
    const { code, find } = await check(['--gateway', 'https://gateway.invalid'], { env: keysOf(keys) })
    expect(code).toBe(1)
    expect(find('reach')).toMatchObject({
      result: 'failed',
      detail: expect.stringMatching(/unknown host|DNS/) as string,
    })
  })

  it('gives up after --timeout', async () => {
    const slow = await harness().gateway({ applications: [keys] })
    slow.setFaults([{ fault: { kind: 'hang' } }])
    const { code, find } = await check([...insecure(slow.url), '--timeout', '300ms'], { env: keysOf(keys) })
    expect(code).toBe(1)
    expect(find('reach')?.detail).toContain('no answer in time')
  })

  it('reports an untrusted certificate, and trusts that of --ca-file', async () => {
    const tls = selfSigned()
    const secure = await harness().gateway({ tls, applications: [keys] })
    const unknown = await check(['--gateway', secure.url], { env: keysOf(keys) })
    expect(unknown).toMatchObject({ code: 1, results: { reach: 'ok', tls: 'failed', get: 'unknown' } })
    expect(unknown.find('tls')?.advice).toContain('--ca-file')
    const file = join(directory, 'ca.pem')
    await writeFile(file, tls.cert)
    const trusted = await check(['--gateway', secure.url, '--ca-file', file], { env: keysOf(keys) })
    expect(trusted).toMatchObject({ code: 0, results: { tls: 'ok', get: 'ok' } })
    expect(trusted.find('tls')?.detail).toMatch(
      /^the certificate is trusted; valid for 127\.0\.0\.1, expires in \d{5} days$/,
    )

    const elsewhere = secure.url.replace('127.0.0.1', 'localhost')
    const wrong = await check(['--gateway', elsewhere, '--ca-file', file], { env: keysOf(keys) })
    expect(wrong).toMatchObject({ code: 1, results: { reach: 'ok', tls: 'failed' } })
    expect(wrong.find('tls')?.detail).toBe(
      'the certificate is valid for other hosts (ERR_TLS_CERT_ALTNAME_INVALID); valid for 127.0.0.1',
    )
  })

  it('reports a port without TLS', async () => {
    const { code, find } = await check(['--gateway', gateway.url.replace('http:', 'https:')], { env: keysOf(keys) })
    expect(code).toBe(1)
    expect(find('tls')).toMatchObject({
      result: 'failed',
      detail: expect.stringContaining('the port does not serve TLS') as string,
    })
  })

  it('uses HTTPS_PROXY and NO_PROXY, and reports the gateway’s certificate through a proxy', async () => {
    const tls = selfSigned()
    const secure = await harness().gateway({ tls, applications: [keys] })
    const file = join(directory, 'proxied-ca.pem')
    await writeFile(file, tls.cert)
    const { port, seen } = await startProxy()
    const { host } = new URL(secure.url)
    const proxied = { ...keysOf(keys), HTTPS_PROXY: `http://127.0.0.1:${port}` }
    const args = ['--gateway', secure.url, '--ca-file', file]
    const direct = await check(args, { env: { ...proxied, NO_PROXY: host } })
    expect({ code: direct.code, seen }).toEqual({ code: 0, seen: [] })
    const through = await check(args, { env: proxied })
    expect({ code: through.code, seen }).toEqual({ code: 0, seen: [host] })
    expect(through.find('tls')?.detail).toBe(direct.find('tls')?.detail)
    expect(through.find('tls')?.detail).toContain('valid for 127.0.0.1')
  })

  it('reports clock skew', async () => {
    const late = await harness().gateway({ applications: [keys], clockOffsetMs: -600_000 })
    const { code, find, results } = await check(insecure(late.url), { env: keysOf(keys) })
    expect({ code, clock: results['clock'] }).toEqual({ code: 1, clock: 'failed' })
    // A Date header has whole seconds: rounded, the result is off by one where the reply is late.
    expect(find('clock')?.detail).toMatch(/^the gateway’s clock is (?:10m\d*s?|9m\d+s) behind$/)
  })

  it('reports a gateway without refresh', async () => {
    const edge = await harness().gateway({ applications: [keys], hasRefresh: false })
    const { code, find } = await check([...insecure(edge.url), '--refresh'], { env: keysOf(keys) })
    expect(code).toBe(1)
    expect(find('refresh')?.detail).toBe('the gateway has no refresh (HTTP 404 or 405)')
  })
})

describe('check --resource', () => {
  it('reports a working resource', async () => {
    await harness().createCredential(namespace, 'checked', gateway, keys)
    const { code, results } = await check(['--resource', `${namespace}/checked`])
    expect({ code, results }).toEqual({
      code: 0,
      results: { resource: 'ok', sources: 'ok', targets: 'ok', ...allGood },
    })
  })

  it('takes the resource as an argument too', async () => {
    await harness().createCredential(namespace, 'argument', gateway, keys)
    for (const args of [[`${namespace}/argument`], ['eac/argument', '-n', namespace]]) {
      expect(await check(args)).toMatchObject({ code: 0, results: allGood })
    }
  })

  it('has the operator renew after a refresh that replaced the token', { timeout: 120_000 }, async () => {
    const strict = await harness().gateway({ lifetimeSeconds: 7200, doesRefreshKillOld: true })
    const own = harness().keys()
    strict.service.addApplication(own)
    const other = await harness().namespace()
    await harness().createCredential(other, 'refreshed', strict, own)
    const alone = await check(['refreshed', '-n', other, '--refresh'])
    expect(alone).toMatchObject({ code: 1, results: { refresh: 'ok', renewal: 'failed' } })
    expect(alone.find('renewal')?.detail).toContain(
      'no attempt within 20s: NotReconciled: no operator has reconciled it yet: is the operator running?',
    )
    expect(alone.find('renewal')?.advice).toContain(`renew ${other}/refreshed`)

    await harness().operator({ args: ['--no-leader-elect', '--namespace', other] })
    await harness().expectReady(other, 'refreshed')
    const { code, find } = await check(['refreshed', '-n', other, '--refresh'])
    expect({ code, renewal: find('renewal')?.detail }).toEqual({
      code: 0,
      renewal: expect.stringContaining('the operator put the new token on the targets: renewed, valid until') as string,
    })
    const data = await harness().data(other, 'refreshed-token')
    expect(strict.service.isValid(data?.['accessToken'] ?? '')).toBe(true)
  })

  it('takes the namespace from --namespace', async () => {
    await harness().createCredential(namespace, 'apart', gateway, keys)
    expect(await check(['--resource', 'apart', '-n', namespace])).toMatchObject({ code: 0, results: allGood })
  })

  it('reports a missing key and a missing Secret', async () => {
    await harness().createCredential(namespace, 'lacking', gateway, keys)
    await harness().patchSecret(namespace, 'lacking-app', { data: { appSecret: null } })
    const missingKey = await check(['--resource', `${namespace}/lacking`])
    expect(missingKey).toMatchObject({ code: 1, results: { resource: 'ok', sources: 'failed' } })
    expect(missingKey.find('sources')?.detail).toBe(
      'spec.appSecretRef: key appSecret of Secret lacking-app does not exist; Secret lacking-app has the key appKey',
    )
    await harness().deleteSecret(namespace, 'lacking-app')
    const missing = await check(['--resource', `${namespace}/lacking`])
    expect(missing.find('sources')?.detail).toContain(`Secret lacking-app not found in namespace ${namespace}`)
  })

  it('reports all missing sources, the CA included', async () => {
    const caRef = { kind: 'ConfigMap', name: 'no-ca' }
    const spec = { appSecretRef: { name: 'no-app' }, gateway: { url: 'https://127.0.0.1:1', caRef } }
    await harness().createCredential(namespace, 'bare', gateway, keys, spec)
    const { find } = await check(['--resource', `${namespace}/bare`])
    expect(find('sources')?.detail).toBe(
      `spec.appSecretRef: Secret no-app not found in namespace ${namespace}; spec.gateway.caRef: ConfigMap no-ca not found in namespace ${namespace}`,
    )
  })

  it('trusts the CA of a resource', async () => {
    const tls = selfSigned()
    const secure = await harness().gateway({ tls, applications: [keys] })
    await harness().createConfigMap(namespace, 'its-ca', { 'ca.crt': tls.cert })
    const caRef = { kind: 'ConfigMap', name: 'its-ca' }
    await harness().createCredential(namespace, 'secured', gateway, keys, { gateway: { url: secure.url, caRef } })
    expect(await check(['--resource', `${namespace}/secured`])).toMatchObject({ code: 0, results: { tls: 'ok' } })
  })

  it('reports missing objects and missing permissions', async () => {
    const nobody = await check(['--resource', `${namespace}/nobody`])
    expect(nobody).toMatchObject({ code: 3, results: { resource: 'unknown' } })
    expect(nobody.find('resource')?.detail).toBe(`EnosAppCredential ${namespace}/nobody not found`)

    await harness().createCredential(namespace, 'guarded', gateway, keys)
    const kubeconfig = await harness().serviceAccount(namespace, 'looker')
    const args = ['--resource', `${namespace}/guarded`, '--kubeconfig', kubeconfig]
    const nothing = await check(args)
    expect(nothing).toMatchObject({ code: 3, results: { resource: 'unknown' } })
    expect(nothing.find('resource')?.detail).toContain('forbidden: cannot get')
    await grant('looker', 'get', 'enosappcredentials.enos.io')
    const noSecrets = await check(args)
    expect(noSecrets).toMatchObject({ code: 3, results: { resource: 'ok', sources: 'unknown' } })
    expect(noSecrets.find('sources')?.detail).toContain(
      `forbidden: cannot get Secret guarded-app in namespace ${namespace}`,
    )
    await grant('looker', 'get', 'secrets')
    expect(await check(args)).toMatchObject({ code: 0, results: { sources: 'ok', targets: 'skipped' } })
  })

  async function grant(account: string, verb: string, resource: string): Promise<void> {
    const name = `${account}-${verb}-${resource}`
    await harness().kubectl(['-n', namespace, 'create', 'role', name, `--verb=${verb}`, `--resource=${resource}`])
    const subject = [`--role=${name}`, `--serviceaccount=${namespace}:${account}`]
    await harness().kubectl(['-n', namespace, 'create', 'rolebinding', name, ...subject])
    await harness().waitUntilAllowed(namespace, `${namespace}:${account}`, verb, resource)
  }
})
