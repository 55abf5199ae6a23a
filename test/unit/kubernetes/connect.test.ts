import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createSecureServer } from 'node:http2'
import { type AddressInfo, connect as connectTo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { stringify } from 'yaml'
import { openApiServer } from '../../../src/commands/api-server.ts'
import { parseProxyConfig, type ProxyConfig } from '../../../src/config/proxy.ts'
import { connect } from '../../../src/kubernetes/connect.ts'
import { KubeconfigError } from '../../../src/kubernetes/kubeconfig-error.ts'
import { secrets } from '../../../src/kubernetes/types.ts'
import { selfSigned } from '../../support/certificate.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { errorOf } from './local-server.ts'

const ref = { namespace: 'plant-a', name: 'enos-token' }
const certificate = selfSigned({ names: ['kube.example'] })
let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'connect-'))
  onTestFinished(() => {
    rmSync(directory, { recursive: true })
  })
})

function write(path: string, content: string): string {
  const file = join(directory, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, content)
  return file
}

async function listen(server: Pick<Server, 'on' | 'listen' | 'close' | 'address'>): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** An API server, with HTTP/2 and HTTP/1.1, that records what it is sent. */
async function startApiServer(isTls = true, { status = (): number => 200, cert = certificate } = {}) {
  const received: { headers: IncomingMessage['headersDistinct']; version: string }[] = []
  const answer: RequestListener = (request, response) => {
    const headers: Record<string, string[]> = {}
    for (let at = 0; at < request.rawHeaders.length; at += 2) {
      const [name = '', value = ''] = request.rawHeaders.slice(at, at + 2)
      ;(headers[name.toLowerCase()] ??= []).push(value)
    }
    received.push({ headers, version: request.httpVersion })
    response.writeHead(status(), { 'content-type': 'application/json' }).end('{"metadata":{}}')
  }
  const server = isTls ? createSecureServer({ ...cert, allowHTTP1: true }, answer as never) : createServer(answer)
  const port = await listen(server as Server)
  return { port, url: `${isTls ? 'https' : 'http'}://127.0.0.1:${port}`, received }
}

interface Parts {
  readonly cluster?: object
  readonly user?: object | undefined
  readonly context?: object
}

/** A kubeconfig of one context; parts that are given replace or complete it. */
function kubeconfigOf(server: string, { cluster, context, user }: Parts = {}): string {
  const caData = Buffer.from(certificate.cert).toString('base64')
  return stringify({
    clusters: [{ name: 'c', cluster: { server, 'certificate-authority-data': caData, ...cluster } }],
    users: user === undefined ? [] : [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', ...(user === undefined ? {} : { user: 'u' }), ...context } }],
    'current-context': 'x',
  })
}

function open(environment: Readonly<Record<string, string>>, proxy?: ProxyConfig) {
  const clock = new FakeClock()
  const connection = connect({
    kubeconfig: { environment: { PATH: process.env['PATH'], ...environment } },
    clock,
    userAgent: 'unit-test',
    fieldManager: 'unit-test',
    ...(proxy === undefined ? {} : { proxy }),
  })
  onTestFinished(() => connection.close())
  return { clock, origin: connection.origin, get: () => connection.client.get(secrets, ref) }
}

const openText = (text: string, proxy?: ProxyConfig) => open({ KUBECONFIG: write('config', text) }, proxy)

/** The message of the error that `work` throws. */
function messageOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof KubeconfigError) return error.message
    throw error
  }
  throw new Error('expected a KubeconfigError, but the kubeconfig was loaded')
}

describe('connect: origin', () => {
  it('origin names the API server and the kubeconfig', () => {
    expect(openText(kubeconfigOf('https://kube.example:6443/base')).origin).toEqual({
      server: 'https://kube.example:6443/base',
      from: `the kubeconfig ${join(directory, 'config')}`,
    })
  })

  it('origin has no user name and no password', () => {
    const { server } = openText(kubeconfigOf('https://u:p%40x@kube.example')).origin
    expect(server).toBe('https://kube.example')
  })
})

describe('connect: tokenFile', () => {
  it('the token in the file goes before token, and is read again', async () => {
    const { received, url } = await startApiServer()
    write('token', 'first\n')
    const { clock, get } = openText(kubeconfigOf(url, { user: { tokenFile: 'token', token: 'inline' } }))
    await get()
    write('token', 'second\n')
    await clock.advance(30_000)
    await get()
    expect(received.map(({ headers }) => headers['authorization'])).toEqual([['Bearer first'], ['Bearer second']])
  })

  it('a missing file is named', () => {
    const text = kubeconfigOf('https://a', { user: { tokenFile: 'none', token: 'inline' } })
    expect(messageOf(() => openText(text))).toContain(`the token file ${join(directory, 'none')} does not exist`)
  })
})

describe('connect: server', () => {
  it('an http:// server is reached, without credentials', async () => {
    const { received, url } = await startApiServer(false)
    const { get } = openText(kubeconfigOf(url, { user: { token: 'secret', username: 'u', password: 'p', as: 'jane' } }))
    await get()
    expect(received[0]?.headers).toMatchObject({ 'impersonate-user': ['jane'] })
    expect(received[0]?.headers).not.toHaveProperty('authorization')
  })

  it('a context without a user uses the CA of the cluster', async () => {
    const { received, url } = await startApiServer()
    await openText(kubeconfigOf(url)).get()
    expect(received[0]?.headers).not.toHaveProperty('authorization')
  })

  it('the CA may be an intermediate or the certificate of the server', async () => {
    const root = selfSigned({ subject: 'root', isCa: true })
    const intermediate = selfSigned({ subject: 'intermediate', isCa: true, issuer: root })
    const leaf = selfSigned({ subject: 'kube', issuer: intermediate })
    const { url } = await startApiServer(true, { cert: { key: leaf.key, cert: leaf.cert + intermediate.cert } })
    for (const { cert } of [root, intermediate, leaf]) {
      const caData = Buffer.from(cert).toString('base64')
      await openText(kubeconfigOf(url, { cluster: { 'certificate-authority-data': caData } })).get()
    }
    const other = Buffer.from(selfSigned({ subject: 'root', isCa: true }).cert).toString('base64')
    const { get } = openText(kubeconfigOf(url, { cluster: { 'certificate-authority-data': other } }))
    expect((await errorOf(get())).reason).toMatch(/CERT|UNABLE/)
  })
})

describe('connect: impersonation', () => {
  it('user, groups, uid and extra are sent as client-go sends them', async () => {
    const { received, url } = await startApiServer()
    const user = {
      token: 't',
      as: 'jane',
      'as-groups': ['dev, ops', 'system:authenticated'],
      'as-uid': '42',
      'as-user-extra': { 'Acme.com/project': ['a', 'b'], scopes: ['view'] },
    }
    await openText(kubeconfigOf(url, { user })).get()
    expect(received[0]?.headers).toMatchObject({
      authorization: ['Bearer t'],
      'impersonate-user': ['jane'],
      'impersonate-group': ['dev, ops', 'system:authenticated'],
      'impersonate-uid': ['42'],
      'impersonate-extra-acme.com%2fproject': ['a', 'b'],
      'impersonate-extra-scopes': ['view'],
    })
  })

  it('without repeated headers HTTP/2 is used', async () => {
    const { received, url } = await startApiServer()
    await openText(kubeconfigOf(url, { user: { as: 'jane', 'as-uid': '42' } })).get()
    expect(received[0]).toMatchObject({ version: '2.0', headers: { 'impersonate-uid': ['42'] } })
  })

  it.each([
    [{ 'as-groups': ['dev'] }, 'has as-groups, as-uid or as-user-extra without as'],
    [{ 'as-uid': '42' }, 'without as'],
    [{ 'as-user-extra': { a: ['b'] } }, 'without as'],
    [{ as: 123 }, 'has a as that is not a string'],
    [{ as: 'jane', 'as-groups': 'dev' }, 'has as-groups that is not a list of strings'],
  ])('%j is refused', (user, expected) => {
    expect(messageOf(() => openText(kubeconfigOf('https://a', { user })))).toContain(expected)
  })
})

describe('connect: files', () => {
  it('paths are relative to the file that names them', async () => {
    const { received, url } = await startApiServer()
    write('a/ca.crt', certificate.cert)
    write('b/token', 'of-b')
    const cluster = write(
      'a/config',
      stringify({ clusters: [{ name: 'c', cluster: { server: url, 'certificate-authority': 'ca.crt' } }] }),
    )
    const user = write('b/config', stringify({ users: [{ name: 'u', user: { tokenFile: './token' } }] }))
    const context = write(
      'd/config',
      stringify({ contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }], 'current-context': 'x' }),
    )
    await open({ KUBECONFIG: [cluster, user, context].join(':') }).get()
    expect(received[0]?.headers['authorization']).toEqual(['Bearer of-b'])
  })

  it('broken entries that the current context does not name do no harm', async () => {
    const { url } = await startApiServer()
    const broken = stringify({
      clusters: [{ name: 'broken' }, { name: 'empty', cluster: { server: 5 } }, null],
      users: [
        {},
        { name: 'odd', user: { exec: 7, 'as-groups': ['x'], tokenFile: '/none', 'client-key': '/none' } },
        'text',
      ],
      contexts: [{ name: 'broken' }, { name: 'dangling', context: { cluster: 'none', user: 'none' } }, 9],
    })
    const files = [write('broken', broken), write('config', kubeconfigOf(url, { user: { token: 't' } }))]
    await open({ KUBECONFIG: files.join(':') }).get()
  })

  it.each([
    [
      'certificate-authority',
      { cluster: { 'certificate-authority-data': undefined, 'certificate-authority': 'gone' } },
    ],
    ['client-certificate', { user: { 'client-certificate': 'gone' } }],
    ['client-key', { user: { 'client-key': 'gone' } }],
  ])('a missing %s file is named', (field, parts: Parts) => {
    const text = kubeconfigOf('https://a', { user: {}, ...parts })
    expect(messageOf(() => openText(text))).toBe(
      `the kubeconfig ${join(directory, 'config')} (from KUBECONFIG) cannot be used: the ${field} file ${join(directory, 'gone')} does not exist`,
    )
  })

  it('a certificate file that disappears while running is named', async () => {
    const { url } = await startApiServer()
    const ca = write('ca.crt', certificate.cert)
    const cluster = { 'certificate-authority-data': undefined, 'certificate-authority': 'ca.crt' }
    const { clock, get } = openText(kubeconfigOf(url, { cluster, user: { token: 't' } }))
    await get()
    rmSync(ca)
    await clock.advance(2000)
    expect((await errorOf(get())).message).toContain(`the certificate-authority file ${ca} does not exist`)
    write('ca.crt', certificate.cert)
    await get()
  })

  it('data goes before a file', async () => {
    const { url } = await startApiServer()
    await openText(kubeconfigOf(url, { cluster: { 'certificate-authority': 'gone' } })).get()
  })
})

describe('connect: exec plugins', () => {
  /** A plugin that records its environment and prints what `print` says. */
  function plugin(print: string): void {
    const file = write(
      'sub/bin/plugin',
      `#!/usr/bin/env node
      const { appendFileSync } = require('node:fs')
      appendFileSync(${JSON.stringify(join(directory, 'runs'))}, JSON.stringify([process.env, process.argv.slice(2)]) + '\\n')
      const credential = (status) => console.log(JSON.stringify({ kind: 'ExecCredential', apiVersion: 'client.authentication.k8s.io/v1', status }))
      process.stdin.on('end', () => { ${print} }).resume()`,
    )
    chmodSync(file, 0o755)
  }

  const runs = (): [Record<string, string>, string[]][] =>
    existsSync(join(directory, 'runs'))
      ? readFileSync(join(directory, 'runs'), 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as [Record<string, string>, string[]])
      : []

  const execOf = (more: object = {}) => ({
    exec: { apiVersion: 'client.authentication.k8s.io/v1', command: './bin/plugin', interactiveMode: 'Never', ...more },
  })

  const openPlugin = (text: string, environment = {}) => open({ KUBECONFIG: write('sub/config', text), ...environment })

  it('a relative command is run beside the kubeconfig, with KUBERNETES_EXEC_INFO', async () => {
    const { received, url } = await startApiServer()
    plugin(`credential({ token: 'from-plugin' })`)
    const user = execOf({ args: ['login', 'a b'], env: [{ name: 'PROFILE', value: 'dev' }], provideClusterInfo: true })
    const extensions = [{ name: 'client.authentication.k8s.io/exec', extension: { audience: 'enos' } }]
    write('sub/ca.crt', certificate.cert)
    const cluster = { extensions, 'certificate-authority-data': undefined, 'certificate-authority': 'ca.crt' }
    await openPlugin(kubeconfigOf(url, { user, cluster }), { MINE: 'inherited' }).get()
    expect(received[0]?.headers['authorization']).toEqual(['Bearer from-plugin'])
    const [environment, args] = runs()[0] ?? []
    expect(args).toEqual(['login', 'a b'])
    expect(environment).toMatchObject({ PROFILE: 'dev', MINE: 'inherited' })
    expect(JSON.parse(environment?.['KUBERNETES_EXEC_INFO'] ?? '')).toEqual({
      kind: 'ExecCredential',
      apiVersion: 'client.authentication.k8s.io/v1',
      spec: {
        interactive: false,
        cluster: {
          server: url,
          'certificate-authority-data': Buffer.from(certificate.cert).toString('base64'),
          config: { audience: 'enos' },
        },
      },
    })
  })

  it('cluster information is given only where it is asked for', async () => {
    const { url } = await startApiServer()
    plugin(`credential({ token: 't' })`)
    await openPlugin(kubeconfigOf(url, { user: execOf() })).get()
    expect(JSON.parse(runs()[0]?.[0]['KUBERNETES_EXEC_INFO'] ?? '')).toMatchObject({ spec: { interactive: false } })
    expect(runs()[0]?.[0]['KUBERNETES_EXEC_INFO']).not.toContain('cluster')
  })

  it('a credential is kept until it expires, also when the kubeconfig is read again', async () => {
    const { received, url } = await startApiServer()
    const clock = new FakeClock()
    plugin(
      `credential({ token: 't' + Math.random(), expirationTimestamp: '${new Date(clock.wall() + 100_000).toISOString()}' })`,
    )
    const opened = openPlugin(kubeconfigOf(url, { user: execOf() }))
    for (const afterMs of [0, 2000, 40_000, 40_000]) {
      await opened.clock.advance(afterMs)
      await opened.get()
    }
    expect(runs()).toHaveLength(1)
    await opened.clock.advance(20_000)
    await opened.get()
    expect(runs()).toHaveLength(2)
    expect(new Set(received.map(({ headers }) => headers['authorization']?.[0])).size).toBe(2)
  })

  it('a credential that the API server refuses is asked for anew', async () => {
    let answers = 0
    const { url } = await startApiServer(true, { status: () => (++answers === 2 ? 401 : 200) })
    plugin(`credential({ token: 't' })`)
    const { clock, get } = openPlugin(kubeconfigOf(url, { user: execOf() }))
    await get()
    await clock.advance(2000)
    await get()
    expect(runs()).toHaveLength(2)
  })

  it.each([
    ['fails', `console.error('hunter2'); process.exit(3)`, 'failed with exit code 3'],
    ['prints text', `console.log('hunter2')`, 'printed no ExecCredential'],
    [
      'prints no status',
      `console.log(JSON.stringify({ kind: 'ExecCredential', apiVersion: 'client.authentication.k8s.io/v1' }))`,
      'printed neither token nor certificate',
    ],
    [
      'prints another version',
      `console.log(JSON.stringify({ kind: 'ExecCredential', apiVersion: 'v9', status: { token: 'hunter2' } }))`,
      'another apiVersion than client.authentication.k8s.io/v1',
    ],
    ['prints half a certificate', `credential({ clientCertificateData: 'hunter2' })`, 'a certificate without key'],
    ['prints too much', `console.log('hunter2'.repeat(200_000))`, 'printed more than 1048576 bytes'],
    ['is killed', `process.kill(process.pid, 'SIGKILL')`, 'ended by a signal'],
  ])('a plugin that %s is named, without its output', async (_, print, expected) => {
    plugin(print)
    const error = await errorOf(openPlugin(kubeconfigOf('https://127.0.0.1:1', { user: execOf() })).get())
    expect(error.message).toContain(`the credential plugin ${join(directory, 'sub/bin/plugin')} of the kubeconfig`)
    expect(error.message).toContain(expected)
    expect(`${error.message}${error.stack ?? ''}${JSON.stringify(error)}`).not.toContain('hunter2')
  })

  it('a plugin that is not installed is named with its installHint in one line', async () => {
    const user = execOf({
      command: 'enos-no-such-plugin',
      installHint: 'Install it:\n\n  brew install plugin\u001b[0m',
    })
    const error = await errorOf(openPlugin(kubeconfigOf('https://127.0.0.1:1', { user })).get())
    expect(error.message).toContain(
      'the credential plugin enos-no-such-plugin of the kubeconfig is not installed: Install it: brew install plugin [0m',
    )
  })

  it('a plugin that needs a terminal is refused', async () => {
    plugin(`credential({ token: 't' })`)
    const user = execOf({ interactiveMode: 'Always' })
    const error = await errorOf(openPlugin(kubeconfigOf('https://127.0.0.1:1', { user })).get())
    expect(error.message).toContain('needs a terminal')
    expect(runs()).toEqual([])
  })
})

describe('connect: proxies', () => {
  /** A proxy whose tunnels all lead to the port. */
  async function startProxy(port: number, isOpen = true) {
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(request.url ?? '')
      response.writeHead(isOpen ? 200 : 407, { 'content-type': 'application/json' }).end('{"metadata":{}}')
    })
    server.on('connect', ({ url = '' }: IncomingMessage, socket: Socket) => {
      asked.push(url)
      if (!isOpen) {
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n')
        return
      }
      const upstream = connectTo(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        upstream.pipe(socket).pipe(upstream)
      })
      for (const one of [upstream, socket]) one.on('error', () => socket.destroy())
    })
    return { asked, url: `127.0.0.1:${await listen(server)}` }
  }

  it('the API server is reached by HTTPS_PROXY or HTTP_PROXY, and not if NO_PROXY has it', async () => {
    const { port } = await startApiServer()
    const { asked, url } = await startProxy(port)
    await openText(kubeconfigOf(`https://kube.example:${port}`), parseProxyConfig({ HTTPS_PROXY: url })).get()
    expect(asked).toEqual([`kube.example:${port}`])
    await openText(kubeconfigOf('http://kube.example'), parseProxyConfig({ HTTP_PROXY: url })).get()
    expect(asked[1]).toMatch(/^http:\/\/kube\.example\//)
    const exempt = parseProxyConfig({ HTTPS_PROXY: url, NO_PROXY: '.invalid' })
    expect(await errorOf(openText(kubeconfigOf('https://kube.invalid'), exempt).get())).toMatchObject({
      reason: 'ENOTFOUND',
    })
    expect(asked).toHaveLength(2)
  })

  it('commands use the variables, as kubectl does', async () => {
    const { port } = await startApiServer()
    const { asked, url } = await startProxy(port)
    const KUBECONFIG = write('config', kubeconfigOf(`https://kube.example:${port}`))
    const server = openApiServer({ clock: new FakeClock(), environment: { KUBECONFIG, https_proxy: url } }, {})
    onTestFinished(() => server.close())
    await server.client.get(secrets, ref)
    expect(asked).toEqual([`kube.example:${port}`])
  })

  it('an API server on this machine is reached without the proxy, as with kubectl', async () => {
    const { url: server } = await startApiServer()
    const { asked, url } = await startProxy(1)
    await openText(kubeconfigOf(server), parseProxyConfig({ HTTPS_PROXY: url })).get()
    expect(asked).toEqual([])
  })

  it('proxy-url of the kubeconfig goes before the environment', async () => {
    const { port, url: server } = await startApiServer()
    const [own, other] = [await startProxy(port), await startProxy(1)]
    const cluster = { 'proxy-url': `http://${own.url}` }
    await openText(kubeconfigOf(server, { cluster }), parseProxyConfig({ HTTPS_PROXY: other.url })).get()
    expect(own.asked).toHaveLength(1)
    expect(other.asked).toEqual([])
  })

  it('a 407 and a proxy that cannot be reached are told as such', async () => {
    const { url } = await startProxy(1, false)
    for (const server of ['https://kube.example', 'http://kube.example']) {
      const proxy = parseProxyConfig({ HTTPS_PROXY: url, HTTP_PROXY: url })
      expect(await errorOf(openText(kubeconfigOf(server), proxy).get())).toMatchObject({
        reason: 'PROXY_AUTHENTICATION_REQUIRED_407',
      })
    }
    const proxy = parseProxyConfig({ HTTPS_PROXY: '127.0.0.1:1' })
    expect(await errorOf(openText(kubeconfigOf('https://kube.example'), proxy).get())).toMatchObject({
      reason: 'PROXY_ECONNREFUSED',
    })
  })

  it('the environment of the process is not read', async () => {
    const { asked, url } = await startProxy(1)
    const KUBECONFIG = write('config', kubeconfigOf('https://kube.invalid'))
    expect(await errorOf(open({ KUBECONFIG, HTTPS_PROXY: url, https_proxy: url }).get())).toMatchObject({
      reason: 'ENOTFOUND',
    })
    expect(asked).toEqual([])
  })
})
