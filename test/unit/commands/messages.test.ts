import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import { configMaps, credentials, secrets } from '../../../src/kubernetes/types.ts'
import { formatTime } from '../../../src/lib/time.ts'
import { condition, hourMs, marker, minuteMs, now } from '../../support/builders.ts'
import { selfSigned } from '../../support/certificate.ts'
import { CommandWorld, type Run } from './command-world.ts'

/**
 * Every message of every command, in one file to be read as a user reads it: messages.snapshot. After a change of words,
 * run with -u and review the difference.
 */

const keys = { appKey: marker.appKey, appSecret: marker.appSecret }
const environment = { ENOS_APP_KEY: keys.appKey, ENOS_APP_SECRET: keys.appSecret }
const at = (offsetMs: number): string => formatTime(now + offsetMs)
const synced = {
  observedGeneration: 1,
  conditions: [
    condition('Ready', 'True', 'Synced', '1 target holds a valid token'),
    condition('RenewalHealthy', 'True', 'Synced', 'the last attempt to get or refresh the token worked'),
  ],
  expiresAt: at(84 * minuteMs),
  issuedAt: at(-36 * minuteMs),
  nextRenewalAt: at(hourMs),
  lastRenewalAt: at(-36 * minuteMs),
  lastRenewalMethod: 'refresh',
  tokenFingerprint: 'aaaaaaaaaaaa',
}

let world: CommandWorld
let transcript: string[]

beforeEach(() => {
  world = new CommandWorld()
  transcript = []
})

afterEach(async () => {
  await world.close()
})

async function run(title: string, argv: readonly string[], given?: Run): Promise<void> {
  transcript.push(`## ${title}\n${await world.run(argv, given)}\n`)
}

function create(name: string, url: string, { spec = {}, status }: { spec?: object; status?: object } = {}): void {
  world.api.user('me').create(credentials, 'plant-a', {
    metadata: { name },
    spec: {
      gateway: { url, ...(url.startsWith('http:') ? { allowInsecureHTTP: true } : {}) },
      appKeyRef: { name: 'enos-app' },
      appSecretRef: { name: 'enos-app' },
      targets: [{ name: `${name}-token` }],
      ...spec,
    },
    ...(status === undefined ? {} : { status }),
  })
}

function createSource(name: string, stringData: Readonly<Record<string, string>>): void {
  world.api.user('me').create(secrets, 'plant-a', { metadata: { name }, stringData })
}

async function usageErrors(): Promise<void> {
  const nowhere = { kubeconfig: '/nowhere' }
  const http = ['check', '--gateway', 'http://edge.example.com']
  const https = ['check', '--gateway', 'https://apim.example.com']
  const lines: readonly (readonly string[])[] = [
    [],
    ['walk'],
    ['--verbose'],
    ['help', 'walk'],
    ['run', 'now'],
    ['run', '--verbose'],
    ['run', '--log-level', 'loud'],
    ['run', '--namespace', 'A'],
    ['run', '--namespace', ''],
    ['run', '--metrics-bind-address', '8080'],
    ['check'],
    ['check', 'Wind_Farm'],
    ['check', 'Foo'],
    ['check', 'wind_farm'],
    ['check', 'deployment.apps/demo'],
    ['check', 'https://user:marker-typed@apim.example.com'],
    ['check', 'a', 'b'],
    ['check', 'a', '--resource', 'b'],
    ['check', 'a', '--gateway', 'https://apim.example.com'],
    ['check', 'a', '--ca-file', 'ca.pem'],
    ['check', 'a/b', '--namespace', 'c'],
    ['check', 'a', '--timeout', 'soon'],
    ['check', 'a', '--timeout', '61s'],
    ['check', 'a', '--output', 'yaml'],
    ['check', '--app-secret=marker-typed'],
    http,
    [...http, '--namespace', 'a'],
    [...http, '--context', 'a'],
    ['check', '--gateway', 'apim.example.com'],
    ['check', '--gateway', 'https://user:marker-typed@apim.example.com'],
    https,
    [...https, '--app-key-file', '-', '--app-secret-file', '-'],
    [...https, '--app-key-file', '-'],
    [...https, '--app-key-file', '/nowhere/marker-typed'],
    [...https, '--ca-file', '/dev/null'],
    [...https, '--tls-server-name', 'https://x'],
    [...https, '--header-file', 'marker-typed'],
    [...https, '--header-file', 'Host=/dev/null'],
    [...https, '--header-file', 'X-Key=-', '--app-key-file', '-'],
    ['renew'],
    ['renew', 'a', 'b'],
    ['renew', 'a/b/c'],
    ['renew', 'a', '--timeout', '10s'],
    ['renew', 'a', '--wait', '--timeout', '25h'],
    ['renew', 'a', '--wait=yes'],
    ['status', 'a', 'b'],
    ['status', '--namespace', '../x'],
    ['status', '--output', 'wide'],
    ['status', '-A', '-n', 'a'],
    ['status', '-A', 'a'],
  ]
  for (const line of lines) await run('usage error', line, nowhere)
}

async function apiServerFailures(): Promise<void> {
  const json = (code: number, reason: string) => JSON.stringify({ kind: 'Status', code, reason, message: 'secret' })
  const answering = async (code: number, body: string) =>
    await world.kubeconfig(await world.stub('https', (response) => response.writeHead(code).end(body)))
  const missingCa = { 'certificate-authority-data': '', 'certificate-authority': '/nowhere/ca.crt' }
  const failures: readonly (readonly [title: string, kubeconfig: string, ...flags: string[]])[] = [
    ['the kubeconfig does not exist', '/nowhere/kubeconfig'],
    ['the context does not exist', await world.kubeconfig('https://127.0.0.1:1'), '--context', 'prod'],
    ['the kubeconfig is not valid', await world.file('kubeconfig', 'a: [')],
    ['the API server refuses connections', await world.kubeconfig('https://127.0.0.1:1')],
    ['the certificate-authority file is missing', await world.kubeconfig('https://127.0.0.1:1', missingCa)],
    [
      'the API server has another certificate',
      await world.kubeconfig((await world.gateway({ tls: selfSigned() })).url),
    ],
    ['the CRD is missing', await answering(404, '404 page not found\n')],
    ['the credentials have expired', await answering(401, json(401, 'Unauthorized'))],
    ['a permission is missing', await answering(403, json(403, 'Forbidden'))],
    ['the API server is overloaded', await answering(503, json(503, 'ServiceUnavailable'))],
    ['the server is no API server', await answering(200, '<html>hello</html>')],
  ]
  for (const [title, kubeconfig, ...flags] of failures) {
    for (const line of [['status'], ['status', 'wind-farm'], ['renew', 'wind-farm'], ['check', 'wind-farm']]) {
      await run(title, [...line, ...flags], { kubeconfig })
    }
  }
}

async function statusMessages(): Promise<void> {
  await run('no resources', ['status'])
  await run('no resources', ['status', '-A'])
  await run('no resources in a namespace', ['status', '--namespace', 'plant-b'])
  const url = 'https://apim.example.com'
  create('wind-farm', url, { status: synced })
  create('unseen', url)
  const noToken = { name: 'config', data: { ENOS_APP_KEY: '{{ appKey }}' } }
  create('mixed', url, { spec: { targets: [noToken, { name: 'mixed-token' }] }, status: synced })
  create('over', url, { status: { ...synced, expiresAt: at(-136_000), nextRenewalAt: at(-26 * minuteMs) } })
  const failing = [
    condition('Ready', 'False', 'TokenExpired', 'the token has expired: the gateway does not know the appKey'),
    condition('RenewalHealthy', 'False', 'AppKeyNotFound', 'the gateway does not know the appKey'),
  ]
  create('failing', url, { status: { ...synced, expiresAt: at(-hourMs), conditions: failing } })
  await run('several resources', ['status'])
  await run('one resource', ['status', 'eac/wind-farm'])
  await run('one resource with a target that holds no token', ['status', 'mixed'])
  await run('one resource as JSON', ['status', 'plant-a/unseen', '--output', 'json'])
  await run('not found', ['status', 'nobody'])
  await run('another type', ['status', 'deployment/demo'])
  const refusal = ['InvalidAppSecret', 'spec.appSecretRef: key appSecret of Secret enos-app: refused (1003)'] as const
  const types = ['Ready', 'RenewalHealthy'].map((type) => condition(type, 'False', ...refusal))
  create('refused', url, { status: { conditions: [...types, condition('Stalled', 'True', ...refusal)] } })
  await run('a resource whose appSecret is refused', ['status', 'refused'])
  const [reason, clamped] = [
    'RenewBeforeClamped',
    'spec.renewBefore 3h is more than half of the lifetime of a token',
  ] as const
  const conditions = [condition('Ready'), condition('RenewalHealthy', 'True', reason, `${clamped}: half is used`)]
  create('clamped', url, { status: { ...synced, conditions } })
  await run('a resource whose renewBefore is not used as it is', ['status', '--namespace', 'plant-a'])
}

async function renewMessages(): Promise<void> {
  const url = 'https://apim.example.com'
  create('wind-farm', url, { status: synced })
  create('paused', url, { spec: { suspend: true } })
  await run('requested', ['renew', 'wind-farm'])
  await run('suspended', ['renew', 'paused'])
  await run('suspended', ['renew', 'paused', '--wait'])
  world.api.user('me').create(credentials, 'plant-a', {
    metadata: { name: 'leaving', finalizers: ['enos.io/merge-cleanup'], deletionTimestamp: at(-hourMs) },
  })
  await run('in deletion', ['renew', 'leaving', '--wait'])
  const missing = ['SourceSecretNotFound', 'spec.appKeyRef: Secret enos-app does not exist'] as const
  const conditions = [condition('Ready', 'False', ...missing), condition('Stalled', 'True', ...missing)]
  create('sourceless', url, { status: { conditions } })
  await run('no attempt is possible', ['renew', 'sourceless', '--wait', '--timeout', '24h'], { isWaiting: true })
  create('unreachable', url, { status: { conditions: [condition('Ready', 'False', 'GatewayUnreachable', 'refused')] } })
  await run('no attempt in time', ['renew', 'unreachable', '--wait', '--timeout', '2s'], { isWaiting: true })
  await run('no operator runs', ['renew', 'wind-farm', '--wait', '--timeout', '2s'], { isWaiting: true })
  await run('not found', ['renew', 'nobody'])
  world.api.refuse = ({ verb }) =>
    verb === 'patch' ? new ApiError('patch x', { code: 403, reason: 'Forbidden' }) : undefined
  await run('a permission is missing', ['renew', 'wind-farm'])
}

async function checkResourceMessages(): Promise<void> {
  const { url } = await world.gateway({ applications: [keys] })
  createSource('enos-app', keys)
  createSource('quoted', { appKey: keys.appKey, appSecret: `"${keys.appSecret}" ` })
  createSource('newline', { appKey: `${keys.appKey}\n`, appSecret: keys.appSecret })
  createSource('half', { appKey: keys.appKey })
  world.api.user('me').create(configMaps, 'plant-a', { metadata: { name: 'no-ca' }, data: { 'ca.crt': 'x' } })
  create('works', url)
  create('newline', url, { spec: { appKeyRef: { name: 'newline' } } })
  create('quoted', url, { spec: { appSecretRef: { name: 'quoted' } } })
  create('half', url, { spec: { appSecretRef: { name: 'half' } } })
  create('nothing', url, { spec: { appKeyRef: { name: 'nothing' }, appSecretRef: { name: 'nothing' } } })
  create('bad-ca', url, {
    spec: { gateway: { url, allowInsecureHTTP: true, caRef: { kind: 'ConfigMap', name: 'no-ca' } } },
  })
  create('invalid', url, { spec: { targets: [] } })
  const message = 'spec.gateway.url: edge is not among the gateways that this operator may call (--allowed-gateways)'
  const conditions = [condition('RenewalHealthy', 'False', 'GatewayNotAllowed', message)]
  create('disallowed', url, { status: { observedGeneration: 1, conditions } })
  create('allowed', url, { status: { observedGeneration: 0, conditions } })
  const broken = { name: 'broken-token', data: { a: '{{ accesToken }}', b: '{{ accessToken' } }
  create('broken', url, { spec: { targets: [broken] } })
  create('paused', url, { spec: { suspend: true } })
  createSource('foreign', { accessToken: 'theirs' })
  create('conflict', url, { spec: { targets: [{ name: 'foreign' }, { name: 'quoted' }] } })
  create('merge', url, { spec: { targets: [{ name: 'nowhere', creationPolicy: 'Merge' }] } })
  create('tokenless', url, { spec: { targets: [{ name: 'tokenless-token', data: { key: '{{ appKey }}' } }] } })
  for (const name of [
    'works',
    'conflict',
    'merge',
    'tokenless',
    'newline',
    'quoted',
    'half',
    'nothing',
    'bad-ca',
    'invalid',
    'disallowed',
    'allowed',
    'broken',
    'nobody',
  ]) {
    await run(`check of a resource: ${name}`, ['check', name])
  }
  await run('a refresh while no operator runs', ['check', 'works', '--refresh'], { isWaiting: true })
  await run('a refresh while suspended', ['check', 'paused', '--refresh'])
  world.api.refuse = ({ plural, verb }) =>
    plural === 'secrets' || verb === 'patch' ? new ApiError('get x', { code: 403, reason: 'Forbidden' }) : undefined
  await run('a source is forbidden', ['check', 'works'])
  world.api.refuse = ({ name, plural, verb }) =>
    plural === 'secrets' && verb === 'get' && name === 'works-token'
      ? new ApiError('get x', { code: 403, reason: 'Forbidden' })
      : undefined
  await run('a target is forbidden', ['check', 'works'])
  world.api.refuse = ({ verb }) =>
    verb === 'patch' ? new ApiError('patch x', { code: 403, reason: 'Forbidden' }) : undefined
  await run('a refresh without permission to renew', ['check', 'works', '--refresh'])
}

async function checkGatewayMessages(): Promise<void> {
  const insecure = (url: string, ...more: string[]) => ['check', '--gateway', url, '--allow-insecure-http', ...more]
  const stubbed = async (code: number, body = '', headers = {}) =>
    await world.stub('http', (response) => response.writeHead(code, headers).end(body))
  const good = await world.gateway({ applications: [keys] })
  const tls = selfSigned()
  const secure = await world.gateway({ applications: [keys], tls })
  const hanging = await world.gateway({ applications: [keys] })
  hanging.setFaults([{ fault: { kind: 'hang' } }])
  const edge = await world.gateway({ applications: [keys], hasRefresh: false })
  const ca = await world.file('ca.pem', tls.cert)
  await run('works', insecure(good.url), { environment })
  await run('works as JSON', insecure(good.url, '--output', 'json'), { environment })
  await run('a refresh', insecure(good.url, '--refresh'), { environment })
  await run('no refresh', insecure(edge.url, '--refresh'), { environment })
  await run('an unknown appKey', insecure(good.url), { environment: { ...environment, ENOS_APP_KEY: '<app-key>' } })
  const wrong = Buffer.from(marker.appSecret).toString('base64')
  await run('an appSecret in base64', insecure(good.url), { environment: { ...environment, ENOS_APP_SECRET: wrong } })
  await run('a trusted certificate', ['check', '--gateway', secure.url, '--ca-file', ca], { environment })
  await run('an untrusted certificate', ['check', '--gateway', secure.url], { environment })
  const elsewhere = secure.url.replace('127.0.0.1', 'localhost')
  await run('a certificate of other hosts', ['check', '--gateway', elsewhere, '--ca-file', ca], { environment })
  const named = ['check', '--gateway', elsewhere, '--ca-file', ca, '--tls-server-name', 'simulator.example.com']
  await run('a certificate without the given name', named, { environment })
  await run('https to a port of http', ['check', '--gateway', good.url.replace('http:', 'https:')], { environment })
  await run('http to a port of https', insecure(secure.url.replace('https:', 'http:')), { environment })
  await run('connection refused', insecure('http://127.0.0.1:1'), { environment })
  await run('no answer', insecure(hanging.url), { environment, isWaiting: true })
  await run('HTTP 403 before the token service', insecure(await stubbed(403, '<html>')), { environment })
  await run('HTTP 404', insecure(await stubbed(404)), { environment })
  await run('HTTP 503', insecure(await stubbed(503)), { environment })
  await run('a redirect', insecure(await stubbed(302, '', { location: 'https://other.example.com' })), { environment })
  await run('a proxy that requires authentication', ['check', '--gateway', 'https://apim.example.com'], {
    environment: { ...environment, HTTPS_PROXY: await refusingProxy(407) },
  })
  await run('a proxy that refuses', ['check', '--gateway', 'https://apim.example.com'], {
    environment: { ...environment, HTTPS_PROXY: await refusingProxy(403) },
  })
  await run('HTML', insecure(await stubbed(200, '<html>')), { environment })
}

async function refusingProxy(code: number): Promise<string> {
  return await world.proxy((socket) => socket.end(`HTTP/1.1 ${code} Refused\r\ncontent-length: 0\r\n\r\n`))
}

async function helpTexts(): Promise<void> {
  await run('help', ['--help'])
  await run('help', ['help', 'help'])
  for (const name of ['run', 'check', 'renew', 'status']) await run('help of a command', ['help', name])
}

describe('every message of every command', () => {
  it('is as reviewed, and holds no secret', { timeout: 60_000 }, async () => {
    const parts = [usageErrors, apiServerFailures, statusMessages, renewMessages]
    for (const part of [...parts, checkResourceMessages, checkGatewayMessages, helpTexts]) {
      await part()
      await world.close()
      world = new CommandWorld()
    }
    const text = transcript
      .join('\n')
      .replaceAll(/expires in \d+ days/g, 'expires in N days')
      .replaceAll(/clock is \d+s (?:ahead|behind)/g, 'clock is Ns ahead')
      .replaceAll(/valid for 1h59m\d*s?/g, 'valid for 2h')
    expect(text).not.toMatch(/marker-(?!typed)/)
    expect(text.replaceAll(/^\$ .*$/gm, '')).not.toMatch(/marker-typed/)
    await expect(text).toMatchFileSnapshot('messages.snapshot')
  })
})
