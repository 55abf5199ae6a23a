import { errors } from 'undici'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { ApiConnections } from '../../../src/kubernetes/api-connections.ts'

const refusal = new errors.InformationalError('HTTP/2: "GOAWAY" frame received with code 0')
const options = { origin: 'https://api.example.com', path: '/api', method: 'PATCH' } as const

function setUp(error: Error, failures: number) {
  const connections = new ApiConnections({
    identity: 'a',
    server: 'https://api.example.com',
    tls: {},
    headers: {},
    allowH2: true,
    proxyUrl: undefined,
  })
  onTestFinished(() => connections.destroy())
  const request = vi.spyOn(connections.calls, 'request').mockResolvedValue({ statusCode: 200 } as never)
  for (let failure = 0; failure < failures; failure++) request.mockRejectedValueOnce(error)
  return { connections, request }
}

describe('ApiConnections.request', () => {
  it('sends a request again that GOAWAY refused', async () => {
    const { connections, request } = setUp(refusal, 3)
    await expect(connections.request('calls', options)).resolves.toEqual({ statusCode: 200 })
    expect(request).toHaveBeenCalledTimes(4)
  })

  it('gives up after three retries', async () => {
    const { connections, request } = setUp(refusal, 4)
    await expect(connections.request('calls', options)).rejects.toBe(refusal)
    expect(request).toHaveBeenCalledTimes(4)
  })

  it('sends a request once that failed otherwise: it may have been executed', async () => {
    const error = new errors.SocketError('other side closed')
    const { connections, request } = setUp(error, 1)
    await expect(connections.request('calls', options)).rejects.toBe(error)
    expect(request).toHaveBeenCalledOnce()
  })
})
