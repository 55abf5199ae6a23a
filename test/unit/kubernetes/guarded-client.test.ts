import { describe, expect, it, vi } from 'vitest'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import { guardWrites } from '../../../src/kubernetes/guarded-client.ts'
import { type KubernetesClient, secrets } from '../../../src/kubernetes/types.ts'

const ref = { namespace: 'plant-a', name: 'enos-token' }
const answer = { metadata: { name: 'enos-token' } }

function setUp() {
  const client = {
    get: vi.fn().mockResolvedValue(answer),
    list: vi.fn().mockResolvedValue({ metadata: {}, items: [answer] }),
    watch: vi.fn().mockReturnValue([]),
    create: vi.fn().mockResolvedValue(answer),
    patch: vi.fn().mockResolvedValue(answer),
    update: vi.fn().mockResolvedValue(answer),
    delete: vi.fn().mockResolvedValue(undefined),
  }
  const guard = { isAllowed: true }
  return { client, guard, guarded: guardWrites(client as KubernetesClient, () => guard.isAllowed) }
}

const writes = [
  ['create', (client: KubernetesClient) => client.create(secrets, 'plant-a', answer, { timeoutMs: 5 })],
  ['patch', (client: KubernetesClient) => client.patch(secrets, ref, { type: 'merge', body: {} }, { timeoutMs: 5 })],
  ['update', (client: KubernetesClient) => client.update(secrets, ref, answer, { timeoutMs: 5 })],
  ['delete', (client: KubernetesClient) => client.delete(secrets, ref, { preconditions: { uid: 'u' } })],
] as const

describe('guardWrites', () => {
  it.each(writes)('refuses %s, sending nothing, while writes are not allowed', async (verb, write) => {
    const { client, guard, guarded } = setUp()
    guard.isAllowed = false

    const error: unknown = await write(guarded).catch((caught: unknown) => caught)

    expect(error).toBeInstanceOf(ApiError)
    expect(error).toMatchObject({ code: 0, reason: 'NotLeading' })
    expect((error as Error).message).toContain(`${verb} secrets plant-a`)
    expect(client[verb]).not.toHaveBeenCalled()
  })

  it.each(writes)('passes %s on with its options while writes are allowed', async (verb, write) => {
    const { client, guarded } = setUp()

    await write(guarded)

    expect(client[verb]).toHaveBeenCalledOnce()
    expect(client[verb].mock.lastCall?.at(-1)).not.toBeUndefined()
  })

  it('checks permission at every write', async () => {
    const { guard, guarded } = setUp()
    await guarded.update(secrets, ref, answer)
    guard.isAllowed = false
    await expect(guarded.update(secrets, ref, answer)).rejects.toMatchObject({ reason: 'NotLeading' })
    guard.isAllowed = true
    await expect(guarded.update(secrets, ref, answer)).resolves.toBe(answer)
  })

  it('passes reads while writes are not allowed', async () => {
    const { client, guard, guarded } = setUp()
    guard.isAllowed = false

    await expect(guarded.get(secrets, ref)).resolves.toBe(answer)
    await expect(guarded.list(secrets, undefined)).resolves.toMatchObject({ items: [answer] })
    guarded.watch(secrets, undefined, { resourceVersion: '1', timeoutSeconds: 1, signal: new AbortController().signal })

    expect(client.watch).toHaveBeenCalledOnce()
  })
})
