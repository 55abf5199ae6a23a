import { once } from 'node:events'
import { request } from 'node:https'
import { afterEach, describe, expect, it } from 'vitest'
import { type Simulator, startSimulator } from '../../../simulator/server.ts'
import { selfSigned } from '../../support/certificate.ts'
import { type Envelope, signed } from './support.ts'

const tls = selfSigned()
let simulator: Simulator | undefined

async function start(): Promise<Simulator> {
  simulator = await startSimulator({ tls, applications: [{ appKey: 'key-1', appSecret: 'secret-1' }] })
  return simulator
}

/** @param ca the trusted CA; undefined trusts the default CAs only */
async function get(url: string, ca: string | undefined): Promise<Envelope> {
  const call = request(`${url}/apim-token-service/v2.0/token/get`, { method: 'POST', ca, agent: false })
  call.end(JSON.stringify(signed('key-1', 'secret-1', Date.now())))
  const [response] = (await once(call, 'response')) as [AsyncIterable<Buffer>]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return JSON.parse(Buffer.concat(chunks).toString()) as Envelope
}

afterEach(() => simulator?.close())

describe('a simulator with tls', () => {
  it('serves https, and only clients that trust its certificate connect', async () => {
    const { url } = await start()
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/)
    expect((await get(url, tls.cert)).status).toBe(0)
    await expect(get(url, undefined)).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  })

  it('cuts connections by a fault and in an outage, and serves again afterwards', async () => {
    const { url, service } = await start()
    simulator?.setFaults([{ count: 1, fault: { kind: 'reset' } }])
    await expect(get(url, tls.cert)).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(service.currentToken('key-1')).toBeUndefined()
    await simulator?.setOutage(true)
    await expect(get(url, tls.cert)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await simulator?.setOutage(false)
    expect((await get(url, tls.cert)).status).toBe(0)
  })
})
