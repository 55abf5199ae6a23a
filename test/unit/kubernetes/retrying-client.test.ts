import { describe, expect, it, vi } from 'vitest'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import { retryRefusedCalls } from '../../../src/kubernetes/retrying-client.ts'
import { credentials, type KubernetesClient, secrets } from '../../../src/kubernetes/types.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const ref = { namespace: 'plant-a', name: 'wind-farm' }
const answer = { metadata: { name: 'wind-farm' } }
const { signal } = new AbortController()

const calls = [
  ['get', (client: KubernetesClient) => client.get(credentials, ref, { signal })],
  ['list', (client: KubernetesClient) => client.list(credentials, 'plant-a', { signal })],
  ['create', (client: KubernetesClient) => client.create(secrets, 'plant-a', answer, { signal })],
  ['patch', (client: KubernetesClient) => client.patch(secrets, ref, { type: 'merge', body: {} }, { signal })],
  ['update', (client: KubernetesClient) => client.update(secrets, ref, answer, { signal })],
  ['delete', (client: KubernetesClient) => client.delete(secrets, ref, { signal })],
] as const

function refusal(retryAfterMs: number | undefined, code = 429): ApiError {
  return new ApiError('get enosappcredentials plant-a/wind-farm', { code, reason: 'TooManyRequests', retryAfterMs })
}

/** A client of which each call fails so many times with that error, and then succeeds. */
function setUp(error: Error, failures: number) {
  const clock = new FakeClock()
  const send = (): ReturnType<typeof vi.fn> => {
    let left = failures
    return vi.fn(() => (left-- > 0 ? Promise.reject(error) : Promise.resolve(answer)))
  }
  const stub = {
    get: send(),
    list: send(),
    create: send(),
    patch: send(),
    update: send(),
    delete: send(),
    watch: vi.fn().mockReturnValue([]),
  }
  return { clock, stub, client: retryRefusedCalls(stub as KubernetesClient, clock) }
}

/** Runs the clock until the call has ended. */
async function settle(call: Promise<unknown>, clock: FakeClock) {
  const start = clock.now()
  let end = start
  const outcome = call
    .then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    )
    .finally(() => (end = clock.now()))
  await clock.advance(3_600_000)
  return { ...(await outcome), afterMs: end - start }
}

describe('retryRefusedCalls', () => {
  it.each(calls)(
    'sends %s again, with its options, after the time that the API server asks for',
    async (verb, call) => {
      const { client, clock, stub } = setUp(refusal(1000), 2)
      expect(await settle(call(client), clock)).toEqual({ value: answer, afterMs: 2000 })
      expect(stub[verb]).toHaveBeenCalledTimes(3)
      expect(stub[verb].mock.lastCall?.at(-1)).toEqual({ signal })
    },
  )

  it.each(calls)('gives %s up after 10 retries', async (verb, call) => {
    const error = refusal(1000, 503)
    const { client, clock, stub } = setUp(error, 11)
    expect(await settle(call(client), clock)).toEqual({ error, afterMs: 10_000 })
    expect(stub[verb]).toHaveBeenCalledTimes(11)
  })

  it.each([
    ['a refusal without Retry-After', refusal(undefined)],
    ['a refusal that asks for more than 30 s', refusal(31_000)],
    ['an error that is none of the API server', new Error('a fault')],
  ])('fails at once on %s', async (_, error) => {
    const { client, clock, stub } = setUp(error, 1)
    expect(await settle(client.get(credentials, ref), clock)).toEqual({ error, afterMs: 0 })
    expect(stub.get).toHaveBeenCalledOnce()
  })

  it('ends the wait when the signal of the call aborts', async () => {
    const { client, clock, stub } = setUp(refusal(1000), 1)
    const aborted = new AbortController()
    const call = client.get(credentials, ref, { signal: aborted.signal })
    await clock.advance(500)
    const reason = new Error('interrupted')
    aborted.abort(reason)
    expect(await settle(call, clock)).toEqual({ error: reason, afterMs: 0 })
    expect(stub.get).toHaveBeenCalledOnce()
    expect(clock.pendingTimers).toBe(0)
  })

  it('passes watches', () => {
    const { client, stub } = setUp(refusal(1000), 0)
    const options = { resourceVersion: '1', timeoutSeconds: 1, signal }
    expect(client.watch(secrets, undefined, options)).toEqual([])
    expect(stub.watch).toHaveBeenCalledExactlyOnceWith(secrets, undefined, options)
  })
})
