import { describe, expect, it } from 'vitest'
import { credentials as credentialType, type KubernetesClient, secrets } from '../../../src/kubernetes/types.ts'
import { type Answer, errorOf, json, kubeconfigFor, setUpClient, startServer } from './local-server.ts'

const ref = { namespace: 'plant-a', name: 'enos-token' }
const secret = 's3cr3t-in-a-body'
const secretBody = { metadata: { name: 'enos-token' }, data: { token: secret } }
const ok: Answer = (response) => {
  json(response, 200, { metadata: { name: 'enos-token', resourceVersion: '7' } })
}
const protocols = ['HTTP/1.1', 'HTTP/2'] as const

describe('HttpKubernetesClient: a call', () => {
  const calls: readonly {
    name: string
    call: (client: KubernetesClient) => Promise<unknown>
    method: string
    target: string
    contentType?: string
    body?: unknown
  }[] = [
    {
      name: 'get',
      call: (client) => client.get(secrets, ref),
      method: 'GET',
      target: '/api/v1/namespaces/plant-a/secrets/enos-token',
    },
    {
      name: 'get of another group',
      call: (client) => client.get(credentialType, ref),
      method: 'GET',
      target: '/apis/enos.io/v1alpha1/namespaces/plant-a/enosappcredentials/enos-token',
    },
    {
      name: 'list of all namespaces',
      call: (client) => client.list(secrets, undefined, { limit: 5, continue: 'a/b=', labelSelector: 'a in (b,c)' }),
      method: 'GET',
      target: '/api/v1/secrets?limit=5&continue=a%2Fb%3D&labelSelector=a+in+%28b%2Cc%29',
    },
    {
      name: 'create',
      call: (client) => client.create(secrets, 'plant-a', secretBody),
      method: 'POST',
      target: '/api/v1/namespaces/plant-a/secrets?fieldManager=unit-test',
      contentType: 'application/json',
      body: secretBody,
    },
    {
      name: 'update',
      call: (client) => client.update(secrets, ref, secretBody),
      method: 'PUT',
      target: '/api/v1/namespaces/plant-a/secrets/enos-token?fieldManager=unit-test',
      contentType: 'application/json',
      body: secretBody,
    },
    {
      name: 'merge patch of the status',
      call: (client) =>
        client.patch(credentialType, ref, { type: 'merge', body: { status: {} } }, { subresource: 'status' }),
      method: 'PATCH',
      target: '/apis/enos.io/v1alpha1/namespaces/plant-a/enosappcredentials/enos-token/status?fieldManager=unit-test',
      contentType: 'application/merge-patch+json',
      body: { status: {} },
    },
    {
      name: 'server-side apply',
      call: (client) =>
        client.patch(secrets, ref, { type: 'apply', body: secretBody, fieldManager: 'mine:1', force: true }),
      method: 'PATCH',
      target: '/api/v1/namespaces/plant-a/secrets/enos-token?fieldManager=mine%3A1&force=true',
      contentType: 'application/apply-patch+yaml',
      body: secretBody,
    },
    {
      name: 'delete with preconditions',
      call: (client) => client.delete(secrets, ref, { preconditions: { uid: 'u', resourceVersion: '7' } }),
      method: 'DELETE',
      target: '/api/v1/namespaces/plant-a/secrets/enos-token',
      contentType: 'application/json',
      body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: 'u', resourceVersion: '7' } },
    },
  ]

  it.each(calls)('sends a valid request: $name', async ({ call, method, target, contentType, body }) => {
    const { client, server } = await setUpClient('HTTP/1.1', ok)
    await call(client)
    expect(server.received).toHaveLength(1)
    const [received] = server.received
    expect(received?.method).toBe(method)
    expect((received?.url.pathname ?? '') + (received?.url.search ?? '')).toBe(target)
    expect(received?.headers['user-agent']).toBe('unit-test/1')
    expect(received?.headers.accept).toBe('application/json')
    expect(received?.headers['content-type']).toBe(contentType)
    expect(received?.body === '' ? undefined : JSON.parse(received?.body ?? '')).toEqual(body)
  })

  it.each(protocols)('returns the answer, over %s', async (protocol) => {
    const { client, onAnswer } = await setUpClient(protocol, ok)
    expect(await client.get(secrets, ref)).toEqual({ metadata: { name: 'enos-token', resourceVersion: '7' } })
    expect(onAnswer).toHaveBeenCalledExactlyOnceWith({
      call: 'get secrets plant-a/enos-token',
      durationMs: expect.any(Number) as number,
      method: 'GET',
      code: '200',
      host: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string,
    })
  })

  it('keeps the base path of the server', async () => {
    const { client, server } = await setUpClient('HTTP/1.1', ok, { basePath: '/k8s/clusters/c-1/' })
    await client.get(secrets, ref)
    expect(server.received[0]?.url.pathname).toBe('/k8s/clusters/c-1/api/v1/namespaces/plant-a/secrets/enos-token')
  })

  it('asks for PartialObjectMetadataList when metadataOnly is set', async () => {
    const { client, server } = await setUpClient('HTTP/1.1', (response) => {
      json(response, 200, { metadata: {}, items: [] })
    })
    await client.list(secrets, 'plant-a', { metadataOnly: true })
    expect(server.received[0]?.headers.accept).toBe('application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1')
  })

  it('shares one connection with all other calls over HTTP/2', async () => {
    const { client, server } = await setUpClient('HTTP/2', ok)
    await client.get(secrets, ref)
    await Promise.all(Array.from({ length: 50 }, () => client.get(secrets, ref)))
    expect(server.received).toHaveLength(51)
    expect(server.connections()).toBe(1)
  })

  it('reuses connections over HTTP/1.1', async () => {
    const { client, server } = await setUpClient('HTTP/1.1', ok)
    for (let i = 0; i < 20; i++) await client.get(secrets, ref)
    // A connection may not count as free yet when its answer has been read: then a second one is opened.
    expect(server.connections()).toBeLessThanOrEqual(2)
  })
})

describe('HttpKubernetesClient: an error answer', () => {
  const invalid = {
    kind: 'Status',
    code: 422,
    reason: 'Invalid',
    message: `Secret "x" is invalid: data: Invalid value: "${secret}"`,
    details: { causes: [{ field: 'data[token]', message: secret }, { field: '' }, {}], retryAfterSeconds: 3 },
  }

  it('throws its code, reason and field paths, and none of its texts', async () => {
    const { client, onAnswer } = await setUpClient('HTTP/1.1', (response) => {
      json(response, 422, invalid)
    })
    const error = await errorOf(client.create(secrets, 'plant-a', secretBody))
    expect(error).toMatchObject({ code: 422, reason: 'Invalid', fields: ['data[token]'], retryAfterMs: 3000 })
    expect(error.message).toBe('create secrets plant-a: HTTP 422 Invalid (data[token])')
    expect(JSON.stringify([error, error.stack, error.cause])).not.toContain(secret)
    expect(onAnswer).toHaveBeenCalledWith(expect.objectContaining({ code: '422' }))
  })

  it('names the webhook that refused the request, and takes neither its text nor a reason of its own making', async () => {
    const { client } = await setUpClient('HTTP/1.1', (response) => {
      const message = `admission webhook "deny.example.com" denied the request: ${secret}`
      const details = { causes: [{ field: secret, message: secret }] }
      json(response, 403, { kind: 'Status', code: 403, reason: `No: ${secret}`, message, details })
    })
    const error = await errorOf(client.create(secrets, 'plant-a', secretBody))
    expect(error.message).toBe(
      'create secrets plant-a: HTTP 403 Unknown (admission webhook "deny.example.com" denied the request)',
    )
    expect(error).toMatchObject({ isPermissionMissing: false, admissionDenial: { name: 'deny.example.com' } })
    expect(JSON.stringify([error, error.stack])).not.toContain(secret)
  })

  it('says whether the permission is missing', async () => {
    const { client } = await setUpClient('HTTP/1.1', (response) => {
      const message = 'secrets "x" is forbidden: User "someone" cannot get resource "secrets" in API group ""'
      json(response, 403, { kind: 'Status', code: 403, reason: 'Forbidden', message })
    })
    const error = await errorOf(client.get(secrets, ref))
    expect(error).toMatchObject({ isPermissionMissing: true, admissionDenial: undefined, reason: 'Forbidden' })
  })

  it.each([
    [504, 'Timeout', [{ reason: 'ResourceVersionTooLarge', message: secret }], true],
    [504, 'Timeout', [{ reason: 'FieldValueInvalid' }], false],
    [504, 'Timeout', undefined, false],
  ])('tells a resourceVersion that is too large: HTTP %d %s %j', async (code, reason, causes, expected) => {
    const { client } = await setUpClient('HTTP/1.1', (response) => {
      json(response, code, { reason, details: { causes } })
    })
    const error = await errorOf(client.list(secrets, undefined, { resourceVersion: '99' }))
    expect(error.isVersionTooLarge).toBe(expected)
    expect(JSON.stringify(error)).not.toContain(secret)
  })

  it.each([
    ['a page of a proxy', `<html>${secret}</html>`],
    ['nothing', ''],
    ['null', 'null'],
    ['a text', `"${secret}"`],
    ['more than is read', `{"message":"${secret.repeat(100_000)}"}`],
  ])('throws the HTTP status alone when its body is %s', async (_what, body) => {
    const { client } = await setUpClient('HTTP/1.1', (response) => {
      response.writeHead(502)
      response.end(body)
    })
    const error = await errorOf(client.get(secrets, ref))
    expect(error.message).toBe('get secrets plant-a/enos-token: HTTP 502 Unknown')
    expect(JSON.stringify([error, error.stack])).not.toContain(secret)
  })

  it.each([
    ['12', 12_000],
    ['0', 0],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['soon', undefined],
  ])('carries the wait of Retry-After: %s', async (header, expectedMs) => {
    const { client } = await setUpClient('HTTP/1.1', (response) => {
      json(response, 429, { reason: 'TooManyRequests' }, { 'retry-after': header })
    })
    const error = await errorOf(client.get(secrets, ref))
    expect(error).toMatchObject({ code: 429, reason: 'TooManyRequests' })
    expect(error.retryAfterMs).toBe(expectedMs)
  })

  it('is never retried', async () => {
    for (const code of [409, 429, 500, 503]) {
      const { client, server } = await setUpClient('HTTP/1.1', (response) => {
        json(response, code, {}, { 'retry-after': '0' })
      })
      expect((await errorOf(client.update(secrets, ref, secretBody))).code).toBe(code)
      expect(server.received).toHaveLength(1)
    }
  })

  it('is assumed for a 200 that is not JSON, without quoting it', async () => {
    const { client } = await setUpClient('HTTP/1.1', (response) => {
      response.writeHead(200)
      response.end(`{"data": ${secret}`)
    })
    const error = await errorOf(client.get(secrets, ref))
    expect(error).toMatchObject({ code: 0, reason: 'NotJson' })
    expect(JSON.stringify([error, error.stack, error.cause])).not.toContain(secret)
  })
})

describe('HttpKubernetesClient: no answer', () => {
  it.each(protocols)('in time is a Timeout, over %s', async (protocol) => {
    const arrived = Promise.withResolvers<undefined>()
    const { client, clock } = await setUpClient(protocol, () => {
      arrived.resolve(undefined)
    })
    const failed = errorOf(client.get(secrets, ref, { timeoutMs: 5000 }))
    await arrived.promise
    await clock.advance(5000)
    expect(await failed).toMatchObject({ code: 0, reason: 'Timeout' })
    expect(clock.pendingTimers).toBe(0)
  })

  it('is assumed when the body does not end in time', async () => {
    const arrived = Promise.withResolvers<undefined>()
    const { client, clock } = await setUpClient('HTTP/1.1', (response) => {
      response.writeHead(200)
      response.write('{"metadata":')
      arrived.resolve(undefined)
    })
    const failed = errorOf(client.get(secrets, ref))
    await arrived.promise
    await clock.advance(29_999)
    await clock.advance(1)
    expect(await failed).toMatchObject({ code: 0, reason: 'Timeout' })
  })

  it('is awaited after the caller aborts: Aborted', async () => {
    const arrived = Promise.withResolvers<undefined>()
    const { client } = await setUpClient('HTTP/1.1', () => {
      arrived.resolve(undefined)
    })
    const aborter = new AbortController()
    const failed = errorOf(client.get(secrets, ref, { signal: aborter.signal }))
    await arrived.promise
    aborter.abort(new Error(secret))
    const error = await failed
    expect(error).toMatchObject({ code: 0, reason: 'Aborted' })
    expect(error.message).not.toContain(secret)
  })

  it('comes for a caller that had aborted before: nothing is sent', async () => {
    const { client, server } = await setUpClient('HTTP/1.1', ok)
    expect(await errorOf(client.get(secrets, ref, { signal: AbortSignal.abort() }))).toMatchObject({
      code: 0,
      reason: 'Aborted',
    })
    expect(server.received).toHaveLength(0)
  })

  it('over a broken connection has the network error as reason, without a retry', async () => {
    const arrived = Promise.withResolvers<undefined>()
    const { client, server, onAnswer } = await setUpClient('HTTP/1.1', () => {
      arrived.resolve(undefined)
    })
    const failed = errorOf(client.create(secrets, 'plant-a', secretBody))
    await arrived.promise
    server.cut()
    const error = await failed
    expect(error.code).toBe(0)
    expect(error.reason).toMatch(/^(?:UND_ERR_SOCKET|ECONNRESET)$/)
    expect(server.received).toHaveLength(1)
    expect(onAnswer).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ method: 'POST', code: '<error>' }))
  })

  it('from an unreachable server is ECONNREFUSED', async () => {
    const { client } = await setUpClient('HTTP/1.1', ok, { load: () => kubeconfigFor('https://127.0.0.1:1') })
    expect(await errorOf(client.get(secrets, ref))).toMatchObject({ code: 0, reason: 'ECONNREFUSED' })
  })

  it('is taken from a server with an untrusted certificate', async () => {
    const { client, server } = await setUpClient('HTTP/2', ok, {
      load: (url) => {
        const config = kubeconfigFor(url)
        const [cluster] = config.clusters
        if (cluster === undefined) throw new Error('no cluster')
        config.clusters = [{ ...cluster, caData: '' }]
        return config
      },
    })
    const error = await errorOf(client.get(secrets, ref))
    expect(error.code).toBe(0)
    expect(error.reason).toMatch(/SELF_SIGNED|UNABLE_TO_VERIFY/)
    expect(server.received).toHaveLength(0)
  })

  it('comes without credentials, whose error is not quoted', async () => {
    const server = await startServer('HTTP/1.1', ok)
    const { client } = await setUpClient('HTTP/1.1', ok, {
      load: () => {
        const config = kubeconfigFor(server.url)
        config.applyToHTTPSOptions = () => Promise.reject(new Error(`the command put out ${secret}`))
        return config
      },
    })
    const error = await errorOf(client.get(secrets, ref))
    expect(error).toMatchObject({ code: 0, reason: 'ConnectionFailed' })
    expect(JSON.stringify([error, error.stack, error.cause])).not.toContain(secret)
  })
})
