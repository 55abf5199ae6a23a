import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Dispatcher } from 'undici'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { ProxyConfig } from '../../../src/config/proxy.ts'
import { GatewayDispatchers } from '../../../src/enos/gateway-dispatchers.ts'
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

type Listening = ReturnType<typeof createServer> | ReturnType<typeof createTlsServer>

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
    expect(await ask(dispatchers().for(noTls), origin)).toBe(refused)
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
    expect(await ask(dispatchers().for(noTls), `http://metadata.example:${port}`)).toBe(refused)
  })

  it('other names are resolved and reached', async () => {
    const port = await listen(createServer(sayHello))
    names.set('apim.example', [{ address: '127.0.0.1', family: 4 }])
    expect(await ask(dispatchers().for(noTls), `http://apim.example:${port}`)).toBe(`hello apim.example:${port}`)
  })

  it('a name unknown to DNS fails with ENOTFOUND', async () => {
    expect(await ask(dispatchers().for(noTls), 'http://unknown.example')).toBe('ENOTFOUND')
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
    const answer = await ask(dispatchers({ httpProxy: url }).for(noTls), 'http://apim.example:8080')
    expect(answer).toMatch(/^hello apim\.example:8080$|^by proxy$/)
    expect(asked).toHaveLength(1)
    expect(asked[0]).toContain('apim.example:8080')
  })

  it('HTTPS_PROXY is used for https://, and TLS is verified through it', async () => {
    const certificate = selfSigned()
    const { asked, url } = await proxyTo(await listen(createTlsServer(certificate, sayHello)))
    const all = dispatchers({ httpsProxy: url })
    expect(await ask(all.for(trusting(certificate.cert)), 'https://127.0.0.1:8443')).toBe('hello 127.0.0.1:8443')
    expect(await ask(all.for(noTls), 'https://127.0.0.1:8443')).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
    expect(asked).toEqual(['127.0.0.1:8443', '127.0.0.1:8443'])
  })

  it('HTTPS_PROXY is not used for http://', async () => {
    const port = await listen(createServer(sayHello))
    const { asked, url } = await proxyTo(port)
    expect(await ask(dispatchers({ httpsProxy: url }).for(noTls), `http://127.0.0.1:${port}`)).toContain('hello')
    expect(asked).toEqual([])
  })

  it('a host in NO_PROXY is reached without the proxy', async () => {
    const port = await listen(createServer(sayHello))
    const { asked, url } = await proxyTo(port)
    const all = dispatchers({ httpProxy: url, noProxy: '127.0.0.1' })
    expect(await ask(all.for(noTls), `http://127.0.0.1:${port}`)).toContain('hello')
    expect(asked).toEqual([])
  })

  it.each([
    'http://169.254.169.254',
    'https://169.254.169.254',
    'https://[fe80::1]:8443',
    'http://2852039166',
    'https://[::ffff:a9fe:a9fe]',
  ])('a request for %s is refused before the proxy gets it', async (origin) => {
    const { asked, url } = await proxyTo(await listen(createServer(sayHello)))
    expect(await ask(dispatchers({ httpProxy: url, httpsProxy: url }).for(noTls), origin)).toBe(refused)
    expect(asked).toEqual([])
  })

  it('a name in NO_PROXY that resolves to a link-local address is refused', async () => {
    const { asked, url } = await proxyTo(await listen(createServer(sayHello)))
    names.set('metadata.example', [{ address: '169.254.169.254', family: 4 }])
    const all = dispatchers({ httpProxy: url, noProxy: 'metadata.example' })
    expect(await ask(all.for(noTls), 'http://metadata.example')).toBe(refused)
    expect(asked).toEqual([])
  })
})

describe('GatewayDispatchers: additional CAs', () => {
  it('CAs are trusted by their own dispatcher only', async () => {
    const certificate = selfSigned()
    const origin = `https://127.0.0.1:${await listen(createTlsServer(certificate, sayHello))}`
    const all = dispatchers()
    expect(await ask(all.for(trusting(certificate.cert)), origin)).toContain('hello')
    expect(await ask(all.for(noTls), origin)).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
    expect(await ask(all.for(trusting(selfSigned().cert)), origin)).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
  })

  it('each set of CAs has one dispatcher', () => {
    const all = dispatchers()
    const { cert } = selfSigned()
    expect(all.for(trusting(cert))).toBe(all.for(trusting(cert)))
    expect(all.for(noTls)).toBe(all.for(noTls))
    expect(all.for(trusting(cert))).not.toBe(all.for(noTls))
  })

  it('beyond a hundred dispatchers, the least recently used one is closed', async () => {
    const port = await listen(createServer(sayHello))
    const all = dispatchers()
    const first = all.for(trusting('set 0'))
    const second = all.for(trusting('set 1'))
    for (let at = 2; at < 100; at++) all.for(trusting(`set ${at}`))
    expect(all.for(trusting('set 0'))).toBe(first)
    all.for(trusting('set 100'))
    expect(all.for(trusting('set 0'))).toBe(first)
    expect(all.for(trusting('set 1'))).not.toBe(second)
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
    const answered = ask(all.for(trusting('set 0')), `http://127.0.0.1:${port}`)
    await asked.promise
    for (let at = 1; at <= 100; at++) all.for(trusting(`set ${at}`))
    answer()
    expect(await answered).toBe('late')
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
    expect(await ask(all.for({ ca, tlsServerName: 'apim.example' }), origin)).toBe('apim.example')
    expect(await ask(all.for({ ca, tlsServerName: 'other.example' }), origin)).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
    expect(await ask(all.for({ ca, tlsServerName: undefined }), origin)).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
  })

  it('tlsServerName goes before the host of the URL, also through a proxy', async () => {
    const { ca, origin } = await startNamed(['apim.example'])
    const { asked, url } = await proxyTo(Number(new URL(origin).port))
    const tls = { ca, tlsServerName: 'apim.example' }
    names.set('other.example', [{ address: '127.0.0.1', family: 4 }])
    const { port } = new URL(origin)
    expect(await ask(dispatchers().for(tls), `https://other.example:${port}`)).toBe('apim.example')
    expect(await ask(dispatchers({ httpsProxy: url }).for(tls), `https://other.example:${port}`)).toBe('apim.example')
    expect(asked).toEqual([`other.example:${port}`])
  })

  it('each pair of CAs and tlsServerName has one dispatcher', () => {
    const all = dispatchers()
    const { cert: ca } = selfSigned()
    const tls = { ca, tlsServerName: 'apim.example' }
    expect(all.for({ ...tls })).toBe(all.for({ ...tls }))
    expect(all.for(tls)).not.toBe(all.for({ ca, tlsServerName: undefined }))
    expect(all.for(tls)).not.toBe(all.for({ ca: undefined, tlsServerName: 'apim.example' }))
    expect(all.for(tls)).not.toBe(all.for({ ca, tlsServerName: 'other.example' }))
  })
})

it('GatewayDispatchers send nothing once closed', async () => {
  const port = await listen(createServer(sayHello))
  const all = dispatchers()
  const dispatcher = all.for(noTls)
  expect(await ask(dispatcher, `http://127.0.0.1:${port}`)).toContain('hello')
  await all.close()
  expect(await ask(dispatcher, `http://127.0.0.1:${port}`)).toBe('UND_ERR_DESTROYED')
})
