import type { KubeConfig } from '@kubernetes/client-node'
import { describe, expect, it, vi } from 'vitest'
import { secrets } from '../../../src/kubernetes/types.ts'
import { selfSigned } from '../../support/certificate.ts'
import { settle } from '../../support/fake-clock.ts'
import { type Answer, collect, errorOf, json, kubeconfigFor, type Response, setUpClient } from './local-server.ts'

const ref = { namespace: 'plant-a', name: 'enos-token' }
const secretBody = { metadata: { name: 'enos-token' }, data: { token: 'dG9rZW4=' } }
const protocols = ['HTTP/1.1', 'HTTP/2'] as const

describe('Transport: 401', () => {
  const check =
    (accepted: string): Answer =>
    (response, { headers }) => {
      if (headers.authorization === `Bearer ${accepted}`) json(response, 200, { metadata: {} })
      else json(response, 401, { reason: 'Unauthorized' })
    }

  it.each(protocols)('the credentials are read again and the call is sent once more over %s', async (protocol) => {
    let token = 'old'
    const { client, clock, server, load, onAnswer } = await setUpClient(protocol, check('new'), {
      load: (url) => kubeconfigFor(url, { token }),
    })
    await clock.advance(2000)
    token = 'new'
    await client.create(secrets, 'plant-a', secretBody)
    expect(load).toHaveBeenCalledTimes(2)
    expect(server.received.map(({ headers }) => headers.authorization)).toEqual(['Bearer old', 'Bearer new'])
    expect(server.received.map(({ body }) => body)).toEqual([JSON.stringify(secretBody), JSON.stringify(secretBody)])
    expect(onAnswer.mock.calls).toMatchObject([[{ code: '401' }], [{ code: '200' }]])
  })

  it('a second 401 is returned', async () => {
    const { client, clock, server } = await setUpClient('HTTP/1.1', check('never'))
    await clock.advance(2000)
    expect(await errorOf(client.get(secrets, ref))).toMatchObject({ code: 401, reason: 'Unauthorized' })
    expect(server.received).toHaveLength(2)
  })

  it('a watch is sent once more, too', async () => {
    let token = 'old'
    const { client, clock } = await setUpClient(
      'HTTP/1.1',
      (response, { headers }) => {
        if (headers.authorization === 'Bearer new') response.end()
        else json(response, 401, {})
      },
      { load: (url) => kubeconfigFor(url, { token }) },
    )
    await clock.advance(2000)
    token = 'new'
    const options = { resourceVersion: '1', timeoutSeconds: 300, signal: new AbortController().signal }
    expect(await collect(client.watch(secrets, undefined, options))).toEqual([])
  })
})

describe('Transport: rotated TLS options', () => {
  it('new calls use a new connection, and the old one closes when its calls are done', async () => {
    const held = Promise.withResolvers<Response>()
    let extraCa = ''
    const { client, clock, server } = await setUpClient(
      'HTTP/2',
      (response, _received, count) => {
        if (count === 1) held.resolve(response)
        else json(response, 200, { metadata: { name: String(count) } })
      },
      {
        load: (url) => {
          const config = kubeconfigFor(url)
          const [cluster] = config.clusters
          if (cluster === undefined) throw new Error('no cluster')
          const pem = Buffer.from(cluster.caData ?? '', 'base64').toString()
          config.clusters = [{ ...cluster, caData: Buffer.from(pem + extraCa).toString('base64') }]
          return config
        },
      },
    )
    const first = client.get(secrets, ref, { timeoutMs: 600_000 })
    const response = await held.promise
    extraCa = selfSigned().cert
    await clock.advance(30_000)
    await client.get(secrets, ref)
    await client.get(secrets, ref)
    expect(server.connections()).toBe(2)
    json(response, 200, { metadata: { name: 'first' } })
    expect(await first).toEqual({ metadata: { name: 'first' } })
  })

  it('calls still in flight on the old connection fail after 30 s', async () => {
    const arrived = Promise.withResolvers<undefined>()
    let suffix = ''
    const { client, clock } = await setUpClient(
      'HTTP/2',
      (response, _received, count) => {
        if (count === 1) arrived.resolve(undefined)
        else json(response, 200, {})
      },
      { load: (url) => kubeconfigFor(url + suffix) },
    )
    const first = errorOf(client.get(secrets, ref, { timeoutMs: 600_000 }))
    await arrived.promise
    suffix = '/moved'
    await clock.advance(30_000)
    await client.get(secrets, ref)
    await clock.advance(30_000)
    expect(await first).toMatchObject({ code: 0 })
  })
})

describe('Transport: an exec plugin that hangs', () => {
  /** An exec plugin that ends when the test says so. */
  async function setUp() {
    const plugin = Promise.withResolvers<undefined>()
    const commands = vi.fn()
    const load = (url: string): KubeConfig => {
      const config = kubeconfigFor(url)
      const apply = config.applyToHTTPSOptions.bind(config)
      config.applyToHTTPSOptions = async (options) => {
        commands()
        await plugin.promise
        await apply(options)
      }
      return config
    }
    return {
      plugin,
      commands,
      ...(await setUpClient('HTTP/1.1', (response) => json(response, 200, { metadata: {} }), { load })),
    }
  }

  it('a call fails at its deadline', async () => {
    const { client, clock, onAnswer, server } = await setUp()
    const failure = errorOf(client.get(secrets, ref, { timeoutMs: 5000 }))
    await clock.advance(5000)
    expect(await failure).toMatchObject({ code: 0, reason: 'Timeout' })
    expect(onAnswer.mock.calls).toMatchObject([[{ code: '<error>' }]])
    expect(server.received).toEqual([])
  })

  it('a call that its caller aborts, or has aborted, fails', async () => {
    const { client } = await setUp()
    const aborter = new AbortController()
    const failure = errorOf(client.get(secrets, ref, { signal: aborter.signal }))
    await settle()
    aborter.abort()
    expect(await failure).toMatchObject({ code: 0, reason: 'Aborted' })
    expect(await errorOf(client.get(secrets, ref, { signal: aborter.signal }))).toMatchObject({ reason: 'Aborted' })
  })

  it('all calls wait for one run of the plugin, and a minute later for a second', async () => {
    const { client, clock, commands, plugin } = await setUp()
    const calls = [client.get(secrets, ref, { timeoutMs: 600_000 })]
    for (const afterMs of [5000, 54_999]) {
      await clock.advance(afterMs)
      calls.push(client.get(secrets, ref, { timeoutMs: 600_000 }))
    }
    expect(commands).toHaveBeenCalledOnce()
    await clock.advance(1)
    calls.push(client.get(secrets, ref, { timeoutMs: 600_000 }))
    expect(commands).toHaveBeenCalledTimes(2)
    plugin.resolve(undefined)
    expect(await Promise.all(calls)).toHaveLength(4)
  })
})
