import { afterEach, describe, expect, it } from 'vitest'
import { type Simulator, type SimulatorOptions, startSimulator } from '../../../simulator/server.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { TestClient, tokenOf } from './support.ts'

const keys = { appKey: 'key-1', appSecret: 'secret-1' }
let simulator: Simulator

async function start(options: SimulatorOptions = {}): Promise<TestClient> {
  simulator = await startSimulator({ applications: [keys], hasAdmin: true, basePath: '/enos', ...options })
  return new TestClient(() => simulator.url, keys)
}

async function ask(method: string, name: string, body?: unknown): Promise<{ status: number; json: unknown }> {
  const reply = await fetch(new URL(`/simulator/${name}`, simulator.url), {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: reply.status, json: await reply.json() }
}

afterEach(() => simulator.close())

describe('the administration under /simulator/', () => {
  it('does not exist without hasAdmin', async () => {
    await start({ hasAdmin: false })
    expect((await ask('GET', 'state')).status).toBe(404)
  })

  it('lists the calls of the token service', async () => {
    const client = await start()
    await client.get()
    expect((await ask('GET', 'calls')).json).toEqual({ calls: JSON.parse(JSON.stringify(simulator.calls)) as unknown })
    expect(simulator.calls).toHaveLength(1)
  })

  it('counts accepted and refused calls of consumers, and lists the refused ones without their token', async () => {
    const client = await start()
    const token = tokenOf(await client.get())
    const call = (authorization: string): Promise<Response> =>
      fetch(new URL('/api/assets?orgId=o1', simulator.url), { headers: { authorization } })
    expect([(await call(`Bearer ${token}`)).status, (await call(`Bearer ${token}x`)).status]).toEqual([200, 401])
    const { json } = await ask('GET', 'consumer-calls')
    const problem = 'the token is not valid: never issued, revoked, or replaced by a refresh'
    expect(json).toEqual({
      accepted: { signature: 0, token: 0, bearer: 1 },
      refused: 1,
      refusals: [{ atMs: expect.any(Number) as number, method: 'GET', path: '/api/assets', problem }],
    })
    expect((await ask('GET', 'state')).json).toMatchObject({ consumerCalls: { refused: 1 } })
    expect(JSON.stringify(json)).not.toContain(token)
  })

  it('lists the applications with their current token by fingerprint, and no secret', async () => {
    const clock = new FakeClock()
    const client = await start({ clock, maxSkewMs: 0, lifetimeSeconds: 30 })
    expect((await ask('GET', 'applications')).json).toEqual({ applications: [{ appKey: 'key-1', valid: false }] })
    const token = tokenOf(await client.get())
    await clock.advance(10_500)
    const { json } = await ask('GET', 'applications')
    const fingerprint = simulator.calls[0]?.fingerprint
    expect(json).toEqual({ applications: [{ appKey: 'key-1', fingerprint, valid: true, secondsLeft: 19.5 }] })
    expect(JSON.stringify(json)).not.toContain(token)
    expect(JSON.stringify(json)).not.toContain('secret-1')
  })

  it('shows the settings of the simulator', async () => {
    await start({ lifetimeSeconds: 30, hasRefresh: false, edition: 'edge' })
    simulator.setLatency(5)
    expect((await ask('GET', 'state')).json).toEqual({
      nowMs: expect.any(Number) as number,
      edition: 'edge',
      lifetimeSeconds: 30,
      hasRefresh: false,
      latencyMs: 5,
      faults: [],
      requiredHeaders: [],
      applications: 1,
      calls: 0,
      consumerCalls: { accepted: { signature: 0, token: 0, bearer: 0 }, refused: 0 },
    })
  })

  it('sets faults, and rejects a whole list for one invalid rule', async () => {
    const client = await start()
    expect((await ask('PUT', 'faults', [{ count: 1, fault: { kind: 'status', status: 1005 } }])).status).toBe(200)
    const wrong = await ask('PUT', 'faults', [{ fault: { kind: 'reset' } }, { fault: { kind: 'slow' } }])
    expect(wrong).toMatchObject({ status: 400, json: { error: expect.stringContaining('1.fault.delayMs') as string } })
    expect([(await client.get()).status, (await client.get()).status]).toEqual([1005, 0])
  })

  it('rejects more rules, headers or applications than the simulator keeps', async () => {
    await start({ maxApplications: 1 })
    const headers = Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`x-${at}`, 'value']))
    const replies = [
      await ask('PUT', 'faults', Array(1001).fill({ fault: { kind: 'reset' } })),
      await ask('PUT', 'required-headers', headers),
      await ask('PUT', 'applications', { appKey: 'key-2', appSecret: 'secret-2' }),
    ]
    expect(replies.map(({ status }) => status)).toEqual([400, 400, 409])
    expect((await ask('GET', 'state')).json).toMatchObject({ faults: [], requiredHeaders: [], applications: 1 })
  })

  it('adds applications and changes their appSecret', async () => {
    const client = await start({ applications: [] })
    expect((await client.get()).status).toBe(1002)
    expect((await ask('PUT', 'applications', { appKey: 'key-1', appSecret: 'old' })).status).toBe(200)
    expect((await client.get()).status).toBe(1003)
    await ask('PUT', 'applications', keys)
    expect((await client.get()).status).toBe(0)
  })

  it('revokes tokens and reports whether a token is valid', async () => {
    const client = await start({ lifetimeSeconds: 30 })
    const token = tokenOf(await client.get())
    const before = (await ask('POST', 'is-valid', { token })).json as { valid: boolean; secondsLeft: number }
    expect(before.valid).toBe(true)
    expect(before.secondsLeft).toBeGreaterThan(0)
    expect(before.secondsLeft).toBeLessThanOrEqual(30)
    expect((await ask('POST', 'revoke', { appKey: 'key-1' })).status).toBe(200)
    expect((await ask('POST', 'is-valid', { token })).json).toEqual({ valid: false, secondsLeft: 0 })
    expect((await ask('POST', 'revoke', { appKey: 'unknown' })).status).toBe(404)
  })

  it('changes the required headers, and never shows their values', async () => {
    const client = await start()
    const set = await ask('PUT', 'required-headers', { 'X-Key': 'hidden-value' })
    expect(set).toEqual({ status: 200, json: { requiredHeaders: ['X-Key'] } })
    expect((await client.post('get')).status).toBe(401)
    const state = await ask('GET', 'state')
    expect(state.json).toMatchObject({ requiredHeaders: ['X-Key'] })
    expect(JSON.stringify([state, await ask('GET', 'calls')])).not.toContain('hidden-value')
    expect((await ask('PUT', 'required-headers', { 'X Key': 'hidden-value' })).status).toBe(400)
    expect((await ask('PUT', 'required-headers', {})).status).toBe(200)
    expect((await client.get()).status).toBe(0)
  })

  it('starts an outage that ends by itself', async () => {
    await start()
    const state = (): Promise<number> =>
      ask('GET', 'state').then(
        ({ status }) => status,
        () => 0,
      )
    expect((await ask('PUT', 'outage', { seconds: 1 })).status).toBe(202)
    await expect.poll(state, { interval: 10 }).toBe(0)
    await expect.poll(state, { interval: 10, timeout: 5000 }).toBe(200)
  })

  it('rejects a missing or invalid body without quoting the body', async () => {
    await start()
    const replies = [
      await ask('PUT', 'outage'),
      await ask('PUT', 'outage', { seconds: 0 }),
      await ask('PUT', 'applications', { ...keys, appSecret: 5 }),
      await ask('POST', 'revoke', { appKey: 'key-1', extra: 'secret-1' }),
    ]
    expect(replies.map(({ status }) => status)).toEqual([400, 400, 400, 400])
    expect(JSON.stringify(replies)).not.toContain('secret-1')
  })
})
