import { execFile, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect, promisify } from 'node:util'
import type { Dispatcher } from 'undici'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { parseProxyConfig, type ProxyConfig } from '../../../src/config/proxy.ts'
import { GatewayDispatchers } from '../../../src/enos/gateway-dispatchers.ts'
import { attemptTimeoutMs } from '../../../src/lib/connector.ts'
import { selfSigned } from '../../support/certificate.ts'

/** The answers of DNS: addresses by name. */
const names = vi.hoisted(() => new Map<string, readonly { address: string; family: number }[]>())

vi.mock('node:dns', () => ({
  lookup: (
    name: string,
    _: object,
    callback: (error: Error | null, addresses: readonly { address: string; family: number }[]) => void,
  ) => {
    const addresses = names.get(name)
    queueMicrotask(() => {
      if (addresses === undefined) callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), [])
      else callback(null, addresses)
    })
  },
}))

const noTls = { ca: undefined, tlsServerName: undefined }
const trusting = (ca: string) => ({ ca, tlsServerName: undefined })

const refused = 'LINK_LOCAL_ADDRESS_REFUSED'

beforeEach(() => {
  names.clear()
})

function dispatchers(proxy: Partial<ProxyConfig> = {}): GatewayDispatchers {
  const all = new GatewayDispatchers({
    proxy: { httpProxy: undefined, httpsProxy: undefined, noProxy: undefined, ...proxy },
  })
  onTestFinished(() => all.close())
  return all
}

type Listening = Server | ReturnType<typeof createServer> | ReturnType<typeof createTlsServer>

/** @returns its port */
async function listen(server: Listening): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const sayHello: RequestListener = (request, response) => {
  response.end(`hello ${request.headers.host ?? ''}`)
}

/** The body of the response, or the code of the error. */
async function ask(dispatcher: Dispatcher, origin: string): Promise<string> {
  try {
    const { body } = await dispatcher.request({ origin, path: '/', method: 'GET' })
    return await body.text()
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}

describe('GatewayDispatchers: link-local addresses', () => {
  it.each([
    'http://169.254.169.254',
    'http://169.254.0.1:8080',
    'http://2852039166',
    'http://0xa9fea9fe',
    'http://[fe80::1]',
    'http://[febf::1]',
    'http://[fd00:ec2::254]',
    'http://[::ffff:169.254.169.254]',
  ])('%s is refused', async (origin) => {
    expect(await ask(dispatchers().for(noTls, 10_000), origin)).toBe(refused)
  })

  it.each([
    ['a link-local address', [{ address: '169.254.169.254', family: 4 }]],
    [
      'a link-local address among others',
      [
        { address: '127.0.0.1', family: 4 },
        { address: 'fe80::1', family: 6 },
      ],
    ],
    ['an IPv4-mapped one', [{ address: '::ffff:169.254.169.254', family: 6 }]],
  ])('a name that resolves to %s is refused', async (_, addresses) => {
    const port = await listen(createServer(sayHello))
    names.set('metadata.example', addresses)
    expect(await ask(dispatchers().for(noTls, 10_000), `http://metadata.example:${port}`)).toBe(refused)
  })

  it('other names are resolved and reached', async () => {
    const port = await listen(createServer(sayHello))
    names.set('apim.example', [{ address: '127.0.0.1', family: 4 }])
    expect(await ask(dispatchers().for(noTls, 10_000), `http://apim.example:${port}`)).toBe(
      `hello apim.example:${port}`,
    )
  })

  it('a name unknown to DNS fails with ENOTFOUND', async () => {
    expect(await ask(dispatchers().for(noTls, 10_000), 'http://unknown.example')).toBe('ENOTFOUND')
  })
})

/** A proxy that connects every tunnel to the gateway and records the targets. */
async function proxyTo(gatewayPort: number): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.end('by proxy')
  })
  server.on('connect', ({ url = '' }: { url?: string }, socket: Socket) => {
    asked.push(url)
    const upstream = connect(gatewayPort, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
    onTestFinished(() => void upstream.destroy())
  })
  return { url: `http://127.0.0.1:${await listen(server)}`, asked }
}

describe('GatewayDispatchers: proxies', () => {
  it('HTTP_PROXY is used for http://, and the proxy resolves names', async () => {
    const { asked, url } = await proxyTo(await listen(createServer(sayHello)))
    const answer = await ask(dispatchers({ httpProxy: url }).for(noTls, 10_000), 'http://apim.example:8080')
    expect(answer).toMatch(/^hello apim\.example:8080$|^by proxy$/)
    expect(asked).toHaveLength(1)
    expect(asked[0]).toContain('apim.example:8080')
  })

  it('HTTPS_PROXY is used for https://, and TLS is verified through it', async () => {
    const certificate = selfSigned()
    const { asked, url } = await proxyTo(await listen(createTlsServer(certificate, sayHello)))
    const all = dispatchers({ httpsProxy: url })
    expect(await ask(all.for(trusting(certificate.cert), 10_000), 'https://127.0.0.1:8443')).toBe(
      'hello 127.0.0.1:8443',
    )
    expect(await ask(all.for(noTls, 10_000), 'https://127.0.0.1:8443')).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
    expect(asked).toEqual(['127.0.0.1:8443', '127.0.0.1:8443'])
  })

  it('HTTPS_PROXY is not used for http://', async () => {
    const port = await listen(createServer(sayHello))
    const { asked, url } = await proxyTo(port)
    expect(await ask(dispatchers({ httpsProxy: url }).for(noTls, 10_000), `http://127.0.0.1:${port}`)).toContain(
      'hello',
    )
    expect(asked).toEqual([])
  })

  it('a host in NO_PROXY is reached without the proxy', async () => {
    const port = await listen(createServer(sayHello))
    const { asked, url } = await proxyTo(port)
    const all = dispatchers({ httpProxy: url, noProxy: '127.0.0.1' })
    expect(await ask(all.for(noTls, 10_000), `http://127.0.0.1:${port}`)).toContain('hello')
    expect(asked).toEqual([])
  })

  it('HTTP_PROXY is not used for https://', async () => {
    const certificate = selfSigned()
    const port = await listen(createTlsServer(certificate, sayHello))
    const { asked, url } = await proxyTo(port)
    const all = dispatchers({ httpProxy: url })
    expect(await ask(all.for(trusting(certificate.cert), 10_000), `https://127.0.0.1:${port}`)).toContain('hello')
    expect(asked).toEqual([])
  })

  it('a network in NO_PROXY is reached without the proxy', async () => {
    const port = await listen(createServer(sayHello))
    const { asked, url } = await proxyTo(port)
    const through = dispatchers({ httpProxy: url, noProxy: '10.0.0.0/8,::1/128' })
    const direct = dispatchers({ httpProxy: url, noProxy: '10.0.0.0/8,127.0.0.0/8' })
    expect(await ask(direct.for(noTls, 10_000), `http://127.0.0.1:${port}`)).toContain('hello')
    expect(asked).toEqual([])
    expect(await ask(through.for(noTls, 10_000), `http://127.0.0.1:${port}`)).toBe('by proxy')
  })

  it('a proxy without a scheme is reached by http://', async () => {
    const certificate = selfSigned()
    const { asked, url } = await proxyTo(await listen(createTlsServer(certificate, sayHello)))
    const proxy = parseProxyConfig({ HTTPS_PROXY: new URL(url).host })
    expect(await ask(dispatchers(proxy).for(trusting(certificate.cert), 10_000), 'https://127.0.0.1:8443')).toContain(
      'hello',
    )
    expect(asked).toEqual(['127.0.0.1:8443'])
  })

  /** A proxy that answers every request with the status, unless it has the right credentials. */
  async function strictProxy(status: number, gatewayPort = 0): Promise<string> {
    const accepted = `Basic ${Buffer.from('user:p@ss').toString('base64')}`
    const server = createServer(({ headers }, response) => {
      if (headers['proxy-authorization'] === accepted) response.end('by proxy')
      else response.writeHead(status, { 'proxy-authenticate': 'Basic' }).end('refused'.repeat(1000))
    })
    server.on('connect', ({ headers }: IncomingMessage, socket: Socket) => {
      if (headers['proxy-authorization'] !== accepted) {
        socket.end(`HTTP/1.1 ${status} Refused\r\nproxy-authenticate: Basic\r\ncontent-length: 7\r\n\r\nrefused`)
        return
      }
      const upstream = connect(gatewayPort, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        upstream.pipe(socket).pipe(upstream)
      })
      onTestFinished(() => void upstream.destroy())
    })
    return `127.0.0.1:${await listen(server)}`
  }

  it('a 407 is named, for https:// and http://', async () => {
    const proxy = await strictProxy(407)
    const all = dispatchers(parseProxyConfig({ HTTPS_PROXY: proxy, HTTP_PROXY: proxy }))
    expect(await ask(all.for(noTls, 10_000), 'https://127.0.0.1:8443')).toBe('PROXY_AUTHENTICATION_REQUIRED_407')
    expect(await ask(all.for(noTls, 10_000), 'http://127.0.0.1:8080')).toBe('PROXY_AUTHENTICATION_REQUIRED_407')
    // The connection is of use for the next call.
    expect(await ask(all.for(noTls, 10_000), 'http://127.0.0.1:8080')).toBe('PROXY_AUTHENTICATION_REQUIRED_407')
  })

  it('another refusal of a tunnel is named with its status', async () => {
    const all = dispatchers(parseProxyConfig({ HTTPS_PROXY: await strictProxy(503) }))
    expect(await ask(all.for(noTls, 10_000), 'https://127.0.0.1:8443')).toBe('PROXY_REFUSED_503')
  })

  it('credentials of the proxy are sent, and are in no error', async () => {
    const certificate = selfSigned()
    const port = await listen(createTlsServer(certificate, sayHello))
    const host = await strictProxy(407, port)
    const good = dispatchers(
      parseProxyConfig({ https_proxy: `user:p%40ss@${host}`, http_proxy: `user:p%40ss@${host}` }),
    )
    expect(await ask(good.for(trusting(certificate.cert), 10_000), 'https://127.0.0.1:8443')).toBe(
      'hello 127.0.0.1:8443',
    )
    expect(await ask(good.for(noTls, 10_000), 'http://127.0.0.1:8080')).toBe('by proxy')
    const bad = dispatchers(parseProxyConfig({ https_proxy: `user:hunter2@${host}` }))
    const error: unknown = await bad
      .for(noTls, 10_000)
      .request({ origin: 'https://127.0.0.1:8443', path: '/', method: 'GET' })
      .catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(Error)
    expect(inspect(error, { depth: 10 })).not.toContain('hunter2')
    expect(inspect(error, { depth: 10 })).not.toContain(Buffer.from('user:hunter2').toString('base64'))
  })

  it('a proxy that cannot be reached is not mistaken for the gateway', async () => {
    const server = createServer()
    const port = await listen(server)
    await new Promise((resolve) => server.close(resolve))
    const all = dispatchers(parseProxyConfig({ HTTPS_PROXY: `127.0.0.1:${port}`, HTTP_PROXY: 'proxy.invalid' }))
    expect(await ask(all.for(noTls, 10_000), 'https://127.0.0.1:8443')).toBe('PROXY_ECONNREFUSED')
    expect(await ask(all.for(noTls, 10_000), 'http://127.0.0.1:8080')).toBe('PROXY_ENOTFOUND')
  })

  it('a SOCKS proxy resolves names, and TLS is verified through it', async () => {
    const certificate = selfSigned({ names: ['apim.example'] })
    const gatewayPort = await listen(createTlsServer(certificate, sayHello))
    const asked: string[] = []
    const server = createTcpServer((socket) => {
      socket.once('data', () => {
        socket.write(Buffer.from([5, 0]))
        socket.once('data', (request: Buffer) => {
          asked.push(request.subarray(5, 5 + (request[4] ?? 0)).toString())
          const upstream = connect(gatewayPort, '127.0.0.1', () => {
            socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
            upstream.pipe(socket).pipe(upstream)
          })
          for (const one of [upstream, socket]) one.on('error', () => socket.destroy())
          onTestFinished(() => void upstream.destroy())
        })
      })
    })
    const proxy = parseProxyConfig({ HTTPS_PROXY: `socks5h://127.0.0.1:${await listen(server)}` })
    const all = dispatchers(proxy)
    const origin = `https://apim.example:${gatewayPort}`
    expect(await ask(all.for(trusting(certificate.cert), 10_000), origin)).toContain('hello')
    expect(await ask(all.for(noTls, 10_000), origin)).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
    expect(asked).toEqual(['apim.example', 'apim.example'])
  })

  it('a proxy is reached by TLS where its URL says https', async () => {
    const all = dispatchers({
      httpsProxy: `https://127.0.0.1:${await listen(createTlsServer(selfSigned(), sayHello))}`,
    })
    expect(await ask(all.for(noTls, 10_000), 'https://127.0.0.1:8443')).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
  })

  it.each([
    'http://169.254.169.254',
    'https://169.254.169.254',
    'https://[fe80::1]:8443',
    'http://2852039166',
    'https://[::ffff:a9fe:a9fe]',
  ])('a request for %s is refused before the proxy gets it', async (origin) => {
    const { asked, url } = await proxyTo(await listen(createServer(sayHello)))
    expect(await ask(dispatchers({ httpProxy: url, httpsProxy: url }).for(noTls, 10_000), origin)).toBe(refused)
    expect(asked).toEqual([])
  })

  it('a name in NO_PROXY that resolves to a link-local address is refused', async () => {
    const { asked, url } = await proxyTo(await listen(createServer(sayHello)))
    names.set('metadata.example', [{ address: '169.254.169.254', family: 4 }])
    const all = dispatchers({ httpProxy: url, noProxy: 'metadata.example' })
    expect(await ask(all.for(noTls, 10_000), 'http://metadata.example')).toBe(refused)
    expect(asked).toEqual([])
  })
})

describe('GatewayDispatchers: additional CAs', () => {
  it('CAs are trusted by their own dispatcher only', async () => {
    const certificate = selfSigned()
    const origin = `https://127.0.0.1:${await listen(createTlsServer(certificate, sayHello))}`
    const all = dispatchers()
    expect(await ask(all.for(trusting(certificate.cert), 10_000), origin)).toContain('hello')
    expect(await ask(all.for(noTls, 10_000), origin)).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
    expect(await ask(all.for(trusting(selfSigned().cert), 10_000), origin)).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
  })

  it('each set of CAs has one dispatcher', () => {
    const all = dispatchers()
    const { cert } = selfSigned()
    expect(all.for(trusting(cert), 10_000)).toBe(all.for(trusting(cert), 10_000))
    expect(all.for(noTls, 10_000)).toBe(all.for(noTls, 10_000))
    expect(all.for(trusting(cert), 10_000)).not.toBe(all.for(noTls, 10_000))
  })

  it('beyond a hundred dispatchers, the least recently used one is closed', async () => {
    const port = await listen(createServer(sayHello))
    const all = dispatchers()
    const first = all.for(trusting('set 0'), 10_000)
    const second = all.for(trusting('set 1'), 10_000)
    for (let at = 2; at < 100; at++) all.for(trusting(`set ${at}`), 10_000)
    expect(all.for(trusting('set 0'), 10_000)).toBe(first)
    all.for(trusting('set 100'), 10_000)
    expect(all.for(trusting('set 0'), 10_000)).toBe(first)
    expect(all.for(trusting('set 1'), 10_000)).not.toBe(second)
    // A caller that still holds the closed one gets an error, so no call hangs.
    expect(await ask(second, `http://127.0.0.1:${port}`)).toBe('UND_ERR_CLOSED')
  })

  it('a dispatcher that is closed completes its calls first', async () => {
    let answer = (): void => undefined
    const asked = Promise.withResolvers<undefined>()
    const port = await listen(
      createServer((_, response) => {
        answer = () => response.end('late')
        asked.resolve(undefined)
      }),
    )
    const all = dispatchers()
    const answered = ask(all.for(trusting('set 0'), 10_000), `http://127.0.0.1:${port}`)
    await asked.promise
    for (let at = 1; at <= 100; at++) all.for(trusting(`set ${at}`), 10_000)
    answer()
    expect(await answered).toBe('late')
  })
})

describe('GatewayDispatchers: chains of certificates', () => {
  const root = selfSigned({ subject: 'root', isCa: true })
  const intermediate = selfSigned({ subject: 'intermediate', isCa: true, issuer: root })
  const leaf = selfSigned({ subject: 'gateway', issuer: intermediate })

  it.each([
    ['the root', 'trusted', root],
    ['an intermediate', 'trusted', intermediate],
    ['the certificate of the server', 'trusted', leaf],
    ['another certificate', 'not trusted', selfSigned({ subject: 'root', isCa: true })],
    [
      'another certificate of the same intermediate',
      'not trusted',
      selfSigned({ subject: 'gateway', issuer: intermediate }),
    ],
  ])('with %s in caRef the server is %s', async (_, outcome, { cert }) => {
    const chain = { key: leaf.key, cert: leaf.cert + intermediate.cert }
    const origin = `https://127.0.0.1:${await listen(createTlsServer(chain, sayHello))}`
    const answer = await ask(dispatchers().for(trusting(cert), 10_000), origin)
    expect(answer).toMatch(outcome === 'trusted' ? /^hello/ : /^[A-Z_]*CERT|^UNABLE_/)
  })

  it('a certificate with the label TRUSTED CERTIFICATE is trusted for what it says', async () => {
    const origin = `https://127.0.0.1:${await listen(createTlsServer({ key: leaf.key, cert: leaf.cert }, sayHello))}`
    /** As `openssl x509 -trustout` writes it: the certificate, then what it is trusted for. */
    const trustedFor = (trust: string): string => {
      const der = Buffer.concat([new X509Certificate(leaf.cert).raw, Buffer.from(trust, 'hex')])
      const base64 = der.toString('base64').replace(/.{1,64}/g, '$&\n')
      return `-----BEGIN TRUSTED CERTIFICATE-----\n${base64}-----END TRUSTED CERTIFICATE-----\n`
    }
    const serverAuth = '300c300a06082b06010505070301'
    const clientAuth = '300c300a06082b06010505070302'
    expect(await ask(dispatchers().for(trusting(trustedFor(serverAuth)), 10_000), origin)).toContain('hello')
    expect(await ask(dispatchers().for(trusting(trustedFor(clientAuth)), 10_000), origin)).not.toContain('hello')
  })

  it('the certificate of the server in caRef must have the host of the URL', async () => {
    const chain = { key: leaf.key, cert: leaf.cert + intermediate.cert }
    names.set('other.example', [{ address: '127.0.0.1', family: 4 }])
    const origin = `https://other.example:${await listen(createTlsServer(chain, sayHello))}`
    expect(await ask(dispatchers().for(trusting(leaf.cert), 10_000), origin)).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'a refused host stays refused in the next calls over %s',
    async (version) => {
      const certificate = selfSigned()
      names.set('other.example', [{ address: '127.0.0.1', family: 4 }])
      const server = createTlsServer({ ...certificate, maxVersion: version }, sayHello)
      const origin = `https://other.example:${await listen(server)}`
      const { url } = await proxyTo(Number(new URL(origin).port))
      for (const all of [dispatchers(), dispatchers({ httpsProxy: url })]) {
        for (let times = 0; times < 3; times++) {
          expect(await ask(all.for(trusting(certificate.cert), 10_000), origin)).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
        }
      }
    },
  )

  it('the certificates of the system are trusted', async () => {
    const certificate = selfSigned()
    const origin = `https://127.0.0.1:${await listen(createTlsServer(certificate, sayHello))}`
    const directory = mkdtempSync(join(tmpdir(), 'system-store-'))
    onTestFinished(() => {
      rmSync(directory, { recursive: true })
    })
    const store = join(directory, 'certificates.crt')
    writeFileSync(store, certificate.cert)
    const module = new URL('../../../src/enos/gateway-dispatchers.ts', import.meta.url).href
    // Node reads the store of the system once, so this takes a process of its own.
    const script = `
      const { GatewayDispatchers } = await import(${JSON.stringify(module)})
      const all = new GatewayDispatchers({ proxy: { httpProxy: '', httpsProxy: '', noProxy: '' } })
      const dispatcher = all.for({ ca: undefined, tlsServerName: undefined }, 10_000)
      const request = { origin: process.argv[1], path: '/', method: 'GET' }
      const answer = await dispatcher.request(request).then(({ body }) => body.text(), (error) => error.code)
      process.stdout.write(answer)
      await all.close()`
    const run = async (env: NodeJS.ProcessEnv): Promise<string> => {
      const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, origin], {
        env,
      })
      return stdout
    }
    expect(await run({ SSL_CERT_FILE: store })).toContain('hello')
    expect(await run({ NODE_EXTRA_CA_CERTS: store })).toContain('hello')
    expect(await run({})).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
  })
})

describe('GatewayDispatchers: names with several addresses', () => {
  /** A server that accepts no connection before it is resumed: until then, the first handshake of a third one is lost. */
  async function stoppedServer(): Promise<{ port: number; resume: () => void }> {
    const script = `
      const server = require('node:http').createServer((_, response) => response.end('slow'))
      server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
        require('node:fs').writeSync(1, String(server.address().port))
      })`
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    const [printed] = (await once(child.stdout, 'data')) as [Buffer]
    const port = Number(printed)
    child.kill('SIGSTOP')
    for (let fillers = 0; fillers < 3; fillers++) {
      const filler = connect(port, '127.0.0.1').on('error', () => undefined)
      onTestFinished(() => void filler.destroy())
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
    return { port, resume: () => void child.kill('SIGCONT') }
  }

  it('a handshake of a second is waited for, although another address is refused', async () => {
    const { port, resume } = await stoppedServer()
    names.set('dual.example', [
      { address: '127.0.0.1', family: 4 },
      { address: '127.0.0.2', family: 4 },
    ])
    const beganAt = performance.now()
    const answer = ask(dispatchers().for(noTls, 10_000), `http://dual.example:${port}`)
    setTimeout(resume, 700)
    expect(await answer).toBe('slow')
    expect(performance.now() - beganAt).toBeGreaterThan(900)
  })

  it('an address that refuses gives way to the next at once', async () => {
    const port = await listen(createServer(sayHello))
    names.set('dual.example', [
      { address: '127.0.0.2', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ])
    expect(await ask(dispatchers().for(noTls, 10_000), `http://dual.example:${port}`)).toContain('hello')
  })

  it.each([
    [600, 500],
    [2000, 1500],
    [3000, 1500],
  ])(
    'a call of %i ms reaches the second address of a name although the first one is dead',
    async (timeoutMs, withinMs) => {
      const { port } = await stoppedServer()
      const server = createServer(sayHello)
      server.listen(port, '127.0.0.2')
      onTestFinished(() => void server.close())
      await once(server, 'listening')
      names.set('dual.example', [
        { address: '127.0.0.1', family: 4 },
        { address: '127.0.0.2', family: 4 },
      ])
      // A busy machine only adds to the time: it is that of the quickest of three calls.
      let quickestMs = Number.POSITIVE_INFINITY
      for (let call = 0; call < 3 && quickestMs >= withinMs; call++) {
        const beganAt = performance.now()
        expect(await ask(dispatchers().for(noTls, timeoutMs), `http://dual.example:${port}`)).toContain('hello')
        quickestMs = Math.min(quickestMs, performance.now() - beganAt)
      }
      expect(quickestMs).toBeLessThan(withinMs)
    },
  )

  it('calls of about the same length share their connections', () => {
    const all = dispatchers()
    expect(all.for(noTls, 60_000)).toBe(all.for(noTls, 10_000))
    expect(all.for(noTls, 4999)).toBe(all.for(noTls, 2000))
    expect(all.for(noTls, 1)).toBe(all.for(noTls, 999))
    const lengths = Array.from({ length: 600 }, (_, at) => all.for(noTls, at * 100))
    expect(new Set(lengths).size).toBe(5)
  })

  it('the addresses share the time equally, at least 250 ms each', () => {
    expect(attemptTimeoutMs(10_000, 1)).toBe(10_000)
    expect(attemptTimeoutMs(10_000, 2)).toBe(5000)
    expect(attemptTimeoutMs(10_000, 3)).toBe(3333)
    expect(attemptTimeoutMs(10_000, 100)).toBe(250)
    expect(attemptTimeoutMs(10_000, 0)).toBe(10_000)
  })
})

describe('GatewayDispatchers: tlsServerName', () => {
  /** A TLS server that answers with the name that SNI asked for. */
  async function startNamed(names: readonly string[]) {
    const certificate = selfSigned({ address: [192, 0, 2, 1], names })
    const port = await listen(
      createTlsServer(certificate, ({ socket }, response) => {
        response.end('servername' in socket ? socket.servername : undefined)
      }),
    )
    return { ca: certificate.cert, origin: `https://127.0.0.1:${port}` }
  }

  it('tlsServerName is asked for by SNI and is the name to find in the certificate', async () => {
    const { ca, origin } = await startNamed(['apim.example'])
    const all = dispatchers()
    expect(await ask(all.for({ ca, tlsServerName: 'apim.example' }, 10_000), origin)).toBe('apim.example')
    expect(await ask(all.for({ ca, tlsServerName: 'other.example' }, 10_000), origin)).toBe(
      'ERR_TLS_CERT_ALTNAME_INVALID',
    )
    expect(await ask(all.for({ ca, tlsServerName: undefined }, 10_000), origin)).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
  })

  it('tlsServerName goes before the host of the URL, also through a proxy', async () => {
    const { ca, origin } = await startNamed(['apim.example'])
    const { asked, url } = await proxyTo(Number(new URL(origin).port))
    const tls = { ca, tlsServerName: 'apim.example' }
    names.set('other.example', [{ address: '127.0.0.1', family: 4 }])
    const { port } = new URL(origin)
    expect(await ask(dispatchers().for(tls, 10_000), `https://other.example:${port}`)).toBe('apim.example')
    expect(await ask(dispatchers({ httpsProxy: url }).for(tls, 10_000), `https://other.example:${port}`)).toBe(
      'apim.example',
    )
    expect(asked).toEqual([`other.example:${port}`])
  })

  it('each pair of CAs and tlsServerName has one dispatcher', () => {
    const all = dispatchers()
    const { cert: ca } = selfSigned()
    const tls = { ca, tlsServerName: 'apim.example' }
    expect(all.for({ ...tls }, 10_000)).toBe(all.for({ ...tls }, 10_000))
    expect(all.for(tls, 10_000)).not.toBe(all.for({ ca, tlsServerName: undefined }, 10_000))
    expect(all.for(tls, 10_000)).not.toBe(all.for({ ca: undefined, tlsServerName: 'apim.example' }, 10_000))
    expect(all.for(tls, 10_000)).not.toBe(all.for({ ca, tlsServerName: 'other.example' }, 10_000))
  })
})

it('GatewayDispatchers send nothing once closed', async () => {
  const port = await listen(createServer(sayHello))
  const all = dispatchers()
  const dispatcher = all.for(noTls, 10_000)
  expect(await ask(dispatcher, `http://127.0.0.1:${port}`)).toContain('hello')
  await all.close()
  expect(await ask(dispatcher, `http://127.0.0.1:${port}`)).toBe('UND_ERR_DESTROYED')
})
