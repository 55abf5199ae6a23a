import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { type Simulator, type SimulatorOptions, startSimulator } from '../../../simulator/server.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { type Envelope, signed, TestClient, tokenOf } from './support.ts'

const keys = { appKey: 'key-1', appSecret: 'secret-1' }
const running: Simulator[] = []

async function start(options: SimulatorOptions = {}): Promise<Simulator> {
  const simulator = await startSimulator({ applications: [keys], ...options })
  running.push(simulator)
  return simulator
}

function clientOf(simulator: Simulator, timeoutMs?: number): TestClient {
  return new TestClient(() => simulator.url, keys, timeoutMs)
}

/** The error code of a broken connection. */
async function codeOf(call: Promise<unknown>): Promise<unknown> {
  const error = await call.then(
    () => new Error('expected a failure, seen an answer'),
    (reason: unknown) => reason as Error,
  )
  return error.name === 'TimeoutError' ? 'timed out' : (error.cause as { code?: string } | undefined)?.code
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((simulator) => simulator.close()))
})

describe('startSimulator', () => {
  it('serves get and refresh at the paths of EnOS', async () => {
    const simulator = await start()
    const client = clientOf(simulator)
    const token = tokenOf(await client.get())
    const next = tokenOf(await client.refresh(token))
    expect(simulator.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    expect(simulator.service.currentToken('key-1')).toBe(next)
  })

  it('serves the token service below a base path, and not beside it', async () => {
    const simulator = await start({ basePath: '/enos/' })
    expect(simulator.url).toMatch(/\/enos$/)
    expect((await clientOf(simulator).get()).status).toBe(0)
    const beside = new TestClient(() => new URL(simulator.url).origin, keys)
    expect((await beside.post('get')).status).toBe(404)
  })

  it('answers 405 to another method, and 1004 to a body that is not JSON', async () => {
    const { url } = await start()
    const path = `${url}/apim-token-service/v2.0/token/get`
    expect((await fetch(path)).status).toBe(405)
    const reply = await fetch(path, { method: 'POST', body: 'appKey=1' })
    expect([reply.status, ((await reply.json()) as Envelope).status]).toEqual([200, 1004])
  })

  it('answers 413 to a body above the limit', async () => {
    const { url } = await start()
    const body = 'x'.repeat(2 * 1024 * 1024)
    const reply = await fetch(`${url}/apim-token-service/v2.0/token/get`, { method: 'POST', body })
    expect(reply.status).toBe(413)
  })

  it('answers a refresh with HTTP 404 without hasRefresh', async () => {
    const simulator = await start({ hasRefresh: false })
    const client = clientOf(simulator)
    expect((await client.post('refresh', tokenOf(await client.get()))).status).toBe(404)
  })

  it('sends the date of its own clock, and checks timestamps against that clock', async () => {
    const clock = new FakeClock()
    const { url } = await start({ clock, clockOffsetMs: 600_000 })
    const reply = await fetch(`${url}/apim-token-service/v2.0/token/get`, {
      method: 'POST',
      body: JSON.stringify(signed('key-1', 'secret-1', clock.wall() + 600_000)),
    })
    expect(Date.parse(reply.headers.get('date') ?? '')).toBe(clock.wall() + 600_000)
    expect(((await reply.json()) as Envelope).status).toBe(0)
  })

  it('delays an answer by the latency, and counts expire from the request', async () => {
    const clock = new FakeClock(Date.now())
    const simulator = await start({ clock, latencyMs: 60_000, lifetimeSeconds: 90, maxSkewMs: 0 })
    const reply = clientOf(simulator).get()
    await expect.poll(() => clock.pendingTimers).toBe(1)
    expect(simulator.calls).toHaveLength(1)
    await clock.advance(60_000)
    expect((await reply).data?.expire).toBe(90)
  })

  it('logs each call with its outcome and the fingerprint of its token', async () => {
    const simulator = await start()
    const client = clientOf(simulator)
    const token = tokenOf(await client.get())
    await client.refresh('made-up')
    const fingerprint = createHash('sha256').update(token).digest('hex').slice(0, 12)
    const common = { appKey: 'key-1', httpStatus: 200, fault: undefined, atMs: expect.any(Number) as number }
    expect(simulator.calls).toEqual([
      { ...common, operation: 'get', status: 0, fingerprint },
      { ...common, operation: 'refresh', status: 1203, fingerprint: undefined },
    ])
    expect(JSON.stringify(simulator.calls)).not.toContain(token)
    simulator.clearCalls()
    expect(simulator.calls).toEqual([])
  })

  it('answers 401 to a call without the required headers, and the token service is not called', async () => {
    const requiredHeaders = { 'Ocp-Apim-Subscription-Key': 'subscription-1', 'X-Zone': 'a b' }
    const simulator = await start({ requiredHeaders })
    simulator.setFaults([{ count: 1, fault: { kind: 'status', status: 1005 } }])
    const client = clientOf(simulator)
    const messages: unknown[] = []
    for (const headers of [
      {},
      { 'ocp-apim-subscription-key': 'wrong' },
      { 'ocp-apim-subscription-key': 'subscription-1' },
    ]) {
      const reply = await client.post('get', undefined, headers)
      expect(reply.status).toBe(401)
      messages.push(await reply.json())
    }
    expect(messages).toEqual([
      { message: 'access denied: the header Ocp-Apim-Subscription-Key is missing' },
      { message: 'access denied: the header Ocp-Apim-Subscription-Key has a wrong value' },
      { message: 'access denied: the header X-Zone is missing' },
    ])
    expect(simulator.service.currentToken('key-1')).toBeUndefined()
    const common = { operation: 'get', appKey: 'key-1', status: undefined, httpStatus: 401, fault: undefined }
    expect(simulator.calls).toMatchObject([common, common, common])
    const statuses: unknown[] = []
    for (let call = 0; call < 2; call++) {
      statuses.push(((await (await client.post('get', undefined, requiredHeaders)).json()) as Envelope).status)
    }
    expect(statuses).toEqual([1005, 0])
  })

  it('takes a rotated value of a required header at once', async () => {
    const simulator = await start({ requiredHeaders: { 'x-key': 'old' } })
    simulator.setRequiredHeaders({ 'x-key': 'new' })
    const client = clientOf(simulator)
    const statuses = [
      (await client.post('get', undefined, { 'x-key': 'old' })).status,
      (await client.post('get', undefined, { 'x-key': 'new' })).status,
    ]
    expect(statuses).toEqual([401, 200])
  })

  it('rejects when the port is in use', async () => {
    const { url } = await start()
    await expect(startSimulator({ port: Number(new URL(url).port) })).rejects.toThrow('EADDRINUSE')
  })

  it('closes while a call hangs, and cannot be opened again', async () => {
    const simulator = await start()
    simulator.setFaults([{ fault: { kind: 'hang' } }])
    const call = codeOf(clientOf(simulator).post('get'))
    await expect.poll(() => simulator.calls.length).toBe(1)
    await simulator.close()
    await simulator.setOutage(false)
    expect(await call).toMatch(/UND_ERR_SOCKET|ECONNRESET/)
    expect(await codeOf(clientOf(simulator).post('get'))).toBe('ECONNREFUSED')
  })
})

describe('an outage', () => {
  it('cuts connections and refuses new ones, then serves the same tokens on the same port', async () => {
    const simulator = await start()
    const client = clientOf(simulator)
    const token = tokenOf(await client.get())
    const { url } = simulator
    const idle = connect(Number(new URL(url).port), '127.0.0.1')
    await new Promise((resolve) => idle.once('connect', resolve))
    idle.on('error', () => {
      // A cut may surface as a reset; the close event follows.
    })
    const closed = new Promise((resolve) => idle.once('close', resolve))
    await simulator.setOutage(true)
    await closed
    expect(await codeOf(client.post('get'))).toBe('ECONNREFUSED')
    await simulator.setOutage(false)
    expect(simulator.url).toBe(url)
    expect(tokenOf(await client.get())).toBe(token)
  })

  it('ends in the last requested state after rapid changes', async () => {
    const simulator = await start()
    await Promise.all([true, true, false, true, false, false].map((isOut) => simulator.setOutage(isOut)))
    expect((await clientOf(simulator).get()).status).toBe(0)
  })
})

describe('a fault', () => {
  it('status: answers that status code, and the token service issues no token', async () => {
    const simulator = await start()
    simulator.setFaults([{ count: 1, fault: { kind: 'status', status: 1005 } }])
    const client = clientOf(simulator)
    expect(await client.get()).toEqual({
      status: 1005,
      msg: 'Internal service exception',
      business: 'apim-token-service',
      data: null,
    })
    expect(simulator.service.currentToken('key-1')).toBeUndefined()
    expect((await client.get()).status).toBe(0)
    expect(simulator.calls.map(({ fault, status }) => [fault, status])).toEqual([
      ['status', 1005],
      [undefined, 0],
    ])
  })

  it('http: answers as a proxy in front of the token service', async () => {
    const simulator = await start()
    simulator.setFaults([{ fault: { kind: 'http', status: 503, headers: { 'retry-after': '7' }, body: 'busy' } }])
    const reply = await clientOf(simulator).post('get')
    expect([reply.status, reply.headers.get('retry-after'), await reply.text()]).toEqual([503, '7', 'busy'])
    expect(simulator.calls[0]).toMatchObject({ status: undefined, httpStatus: 503 })
  })

  it('reset: resets the connection', async () => {
    const simulator = await start()
    simulator.setFaults([{ fault: { kind: 'reset' } }])
    expect(await codeOf(clientOf(simulator).post('get'))).toBe('ECONNRESET')
    expect(simulator.calls[0]).toMatchObject({ status: undefined, httpStatus: undefined, fault: 'reset' })
  })

  it('hang: never answers', async () => {
    const simulator = await start()
    simulator.setFaults([{ fault: { kind: 'hang' } }])
    expect(await codeOf(clientOf(simulator, 1000).post('get'))).toBe('timed out')
  })

  it('drip: answers byte by byte', async () => {
    const simulator = await start()
    simulator.setFaults([{ fault: { kind: 'drip', everyMs: 1 } }])
    const begun = performance.now()
    expect((await clientOf(simulator).get()).status).toBe(0)
    expect(performance.now() - begun).toBeGreaterThan(100)
  })

  it('hangBody: answers half, and the refresh has happened', async () => {
    const simulator = await start()
    const old = tokenOf(await clientOf(simulator).get())
    simulator.setFaults([{ fault: { kind: 'hangBody' } }])
    const reply = await clientOf(simulator, 1000).post('refresh', old)
    expect(reply.status).toBe(200)
    expect(await codeOf(reply.text())).toBe('timed out')
    expect(simulator.service.currentToken('key-1')).not.toBe(old)
  })

  it('truncate: answers half and closes, and the refresh has happened', async () => {
    const simulator = await start()
    const client = clientOf(simulator)
    const old = tokenOf(await client.get())
    simulator.setFaults([{ fault: { kind: 'truncate' } }])
    const reply = await client.post('refresh', old)
    expect(reply.status).toBe(200)
    expect(await codeOf(reply.text())).toMatch(/UND_ERR_SOCKET|ECONNRESET/)
    expect(simulator.service.currentToken('key-1')).not.toBe(old)
  })

  it('slow: answers after the delay', async () => {
    const clock = new FakeClock(Date.now())
    const simulator = await start({ clock, maxSkewMs: 0 })
    simulator.setFaults([{ fault: { kind: 'slow', delayMs: 60_000 } }])
    const reply = clientOf(simulator).get()
    await expect.poll(() => clock.pendingTimers).toBe(1)
    await clock.advance(60_000)
    expect((await reply).status).toBe(0)
  })

  it('slow: stops waiting when the client closes the connection', async () => {
    const clock = new FakeClock(Date.now())
    const simulator = await start({ clock, maxSkewMs: 0 })
    simulator.setFaults([{ fault: { kind: 'slow', delayMs: 60_000 } }])
    expect(await codeOf(clientOf(simulator, 1000).post('get'))).toBe('timed out')
    await expect.poll(() => clock.pendingTimers).toBe(0)
    expect(simulator.calls).toHaveLength(1)
  })

  it('large: answers a right reply padded to that size', async () => {
    const simulator = await start()
    simulator.setFaults([{ fault: { kind: 'large', bytes: 200_000 } }])
    const text = await (await clientOf(simulator).post('get')).text()
    expect(text).toHaveLength(200_000)
    expect((JSON.parse(text) as Envelope).status).toBe(0)
  })

  it.each([-1, 1.5, '7200', null])('expire: answers %j as expire', async (value) => {
    const simulator = await start()
    simulator.setFaults([{ fault: { kind: 'expire', value } }])
    const reply = await clientOf(simulator).get()
    expect(reply.data).toEqual({ accessToken: simulator.service.currentToken('key-1'), expire: value })
  })
})
