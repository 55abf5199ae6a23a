import { once } from 'node:events'
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type HttpAnswer, startHttpServer } from '../../../src/telemetry/http-server.ts'
import { MetricsCertificate } from '../../../src/telemetry/metrics-certificate.ts'
import { type Certificate, selfSigned } from '../../support/certificate.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { scrapeTls } from '../../support/scrape-tls.ts'
import { readableLog } from '../enos/support.ts'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'certificate-'))
})

afterEach(async () => {
  await rm(directory, { recursive: true })
})

const certFile = (): string => join(directory, 'tls.crt')
const keyFile = (): string => join(directory, 'tls.key')

async function writePair({ cert, key }: Partial<Certificate>): Promise<void> {
  if (cert !== undefined) await writeFile(certFile(), cert)
  if (key !== undefined) await writeFile(keyFile(), key)
}

async function load(files = { certFile: certFile(), keyFile: keyFile() }) {
  const { lines, log } = readableLog()
  const clock = new FakeClock()
  const certificate = await MetricsCertificate.load({ files, clock, log })
  return { certificate, clock, log, logged: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) }
}

async function serve(body: () => HttpAnswer['body'] = () => 'up 1\n') {
  const { certificate, clock, log, logged } = await load()
  const server = await startHttpServer({
    address: { host: '127.0.0.1', port: 0 },
    routes: { '/metrics': () => ({ status: 200, body: body() }) },
    clock,
    log,
    certificate,
  })
  onTestFinished(() => server.close())
  /** Has the files read again. */
  const nextCheck = async (): Promise<void> => {
    const { pendingTimers } = clock
    await clock.advance(10_000)
    // The timer of the check after it is set when it has ended.
    await expect.poll(() => clock.pendingTimers).toBe(pendingTimers)
  }
  return { server, clock, logged, nextCheck, scrape: (trusted: Certificate) => scrapeTls(server.port, trusted.cert) }
}

describe('metrics certificate', () => {
  it('is served, and its successor to the connections after a rotation, while scrapes go on', async () => {
    const [first, second] = [selfSigned({ subject: 'first' }), selfSigned({ subject: 'second' })]
    await writePair(first)
    let release = (): void => undefined
    const isReleased = new Promise<void>((resolve) => (release = resolve))
    let isBegun = false
    function* slow(): Generator<Uint8Array> {
      isBegun = true
      const buffer = Buffer.alloc(4 * 1024 * 1024)
      yield buffer.fill('a')
      yield buffer.fill('end\n').subarray(0, 4)
    }
    const { logged, nextCheck, scrape, server } = await serve(slow)
    const running = scrapeTls(server.port, first.cert, { readAfter: isReleased })
    await expect.poll(() => isBegun).toBe(true)

    await writePair(second)
    await nextCheck()
    await expect(scrape(second)).resolves.toMatchObject({ subject: 'second' })
    await expect(scrape(first)).rejects.toThrow('self-signed certificate')
    release()
    const { body, subject } = await running
    expect({ subject, end: body.replace(/^a*/, ''), length: body.length }).toEqual({
      subject: 'first',
      end: 'end\n',
      length: 4 * 1024 * 1024 + 4,
    })
    expect(logged()).toMatchObject([
      { level: 'info', msg: 'metrics certificate reloaded', expiresAt: '2120-01-01T00:00:00.000Z' },
    ])
  })

  it('is read again when the kubelet swaps the folder that the files are links to', async () => {
    const [first, second] = [selfSigned({ subject: 'first' }), selfSigned({ subject: 'second' })]
    const publish = async (version: string, { cert, key }: Certificate): Promise<void> => {
      await mkdir(join(directory, version))
      await writeFile(join(directory, version, 'tls.crt'), cert)
      await writeFile(join(directory, version, 'tls.key'), key)
      await symlink(version, join(directory, '..data_tmp'))
      await rename(join(directory, '..data_tmp'), join(directory, '..data'))
    }
    await publish('..1', first)
    for (const name of ['tls.crt', 'tls.key']) await symlink(join('..data', name), join(directory, name))
    const { nextCheck, scrape } = await serve()
    await expect(scrape(first)).resolves.toEqual({ subject: 'first', body: 'up 1\n' })
    await publish('..2', second)
    await nextCheck()
    await expect(scrape(second)).resolves.toEqual({ subject: 'second', body: 'up 1\n' })
  })

  it('stays while its files cannot be used, says so once, and is replaced when they can', async () => {
    const [first, second] = [selfSigned({ subject: 'first' }), selfSigned({ subject: 'second' })]
    await writePair(first)
    const { logged, nextCheck, scrape } = await serve()
    await writePair({ cert: second.cert })
    for (let i = 0; i < 3; i++) await nextCheck()
    await expect(scrape(first)).resolves.toMatchObject({ subject: 'first' })
    const reason = `--metrics-tls-key-file: ${keyFile()} is not the key of the certificate in ${certFile()}`
    expect(logged()).toMatchObject([
      { level: 'error', msg: 'metrics certificate not reloaded, keeping the last one', reason },
    ])

    await rm(certFile())
    await nextCheck()
    expect(logged().at(-1)).toMatchObject({ reason: `--metrics-tls-cert-file: ${certFile()} does not exist` })
    await writePair(second)
    await nextCheck()
    await expect(scrape(second)).resolves.toMatchObject({ subject: 'second' })
    expect(logged()).toHaveLength(3)
    expect(JSON.stringify(logged())).not.toContain('BEGIN')
  })

  it('is not read any more, and its server ends, once it is closed', async () => {
    await writePair(selfSigned())
    const { clock, scrape, server } = await serve()
    await expect(scrape(selfSigned())).rejects.toThrow()
    // A client that never begins the handshake.
    const socket = connect(server.port, '127.0.0.1')
    await once(socket, 'connect')
    await server.close()
    socket.destroy()
    expect(clock.pendingTimers).toBe(0)
  })

  it.each<[string, Partial<Certificate>, string]>([
    ['a certificate that is missing', { key: selfSigned().key }, '--metrics-tls-cert-file: CERT does not exist'],
    ['a key that is missing', { cert: selfSigned().cert }, '--metrics-tls-key-file: KEY does not exist'],
    [
      'a certificate that is none',
      { ...selfSigned(), cert: 'SECRET-TEXT' },
      '--metrics-tls-cert-file: CERT has no certificate in PEM format',
    ],
    [
      'a key in place of the certificate',
      { cert: selfSigned().key, key: selfSigned().key },
      '--metrics-tls-cert-file: CERT has no certificate in PEM format',
    ],
    [
      'a key that is none',
      { ...selfSigned(), key: 'SECRET-TEXT' },
      '--metrics-tls-key-file: KEY has no unencrypted private key in PEM format',
    ],
    [
      'the key of another certificate',
      { cert: selfSigned().cert, key: selfSigned().key },
      '--metrics-tls-key-file: KEY is not the key of the certificate in CERT',
    ],
  ])('is refused at the start for %s', async (_, files, message) => {
    await writePair(files)
    await expect(load()).rejects.toThrow(
      message.replace('CERT', certFile()).replace('KEY', keyFile()).replace('CERT', certFile()),
    )
  })

  it('names a file that cannot be read', async () => {
    await writePair(selfSigned())
    await expect(load({ certFile: directory, keyFile: keyFile() })).rejects.toThrow(
      `--metrics-tls-cert-file: ${directory} cannot be read (EISDIR)`,
    )
  })
})
