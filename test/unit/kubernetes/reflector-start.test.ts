import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import { Reflector } from '../../../src/kubernetes/reflector.ts'
import { Store } from '../../../src/kubernetes/store.ts'
import { type KubernetesClient, secrets } from '../../../src/kubernetes/types.ts'
import { parseMetadata } from '../../../src/observe/parse-object.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'
import { readableLog } from '../enos/support.ts'

const second = 1000

/** A reflector whose lists answer with this HTTP status by their number; 200: an empty list. Its first watch fails. */
async function started(statusOf: (call: number) => number) {
  const clock = new FakeClock()
  let lists = 0
  let watches = 0
  const client: Pick<KubernetesClient, 'list' | 'watch'> = {
    list: () => {
      const code = statusOf(++lists)
      if (code === 200) return Promise.resolve({ metadata: { resourceVersion: '1' }, items: [] })
      return Promise.reject(new ApiError('list secrets', { code, reason: 'any' }))
    },
    async *watch(_type, _namespace, { signal }) {
      if (++watches === 1) throw new ApiError('watch secrets', { code: 410, reason: 'Expired' })
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      yield* []
    },
  }
  const { lines, log } = readableLog()
  const reflector = new Reflector({
    client,
    type: secrets,
    namespace: undefined,
    transform: parseMetadata,
    store: new Store(),
    clock,
    random: () => 0,
    log,
  })
  const stop = new AbortController()
  const ended = reflector.run(stop.signal)
  onTestFinished(async () => {
    stop.abort()
    await ended
  })
  await settle()
  const logged = (message: string) =>
    lines
      .map((line) => JSON.parse(line) as { level: string; msg: string; failingForMs?: number })
      .filter(({ msg }) => msg === message)
  return { clock, logged, listCount: () => lists, log, reflector }
}

describe('Reflector until its first list', () => {
  it('Reflector asks at most 5 s later again while the kind is unknown, so that an installed CRD is soon found', async () => {
    const { clock, listCount } = await started(() => 404)
    for (const delayMs of [800, 1600, 3200, 5000, 5000]) {
      const before = listCount()
      await clock.advance(delayMs - 1)
      expect(listCount()).toBe(before)
      await clock.advance(1)
      expect(listCount()).toBe(before + 1)
    }
  })

  it('Reflector logs a failure that lasts again after 10 s, and then at most once a minute as an error', async () => {
    const { clock, logged } = await started(() => 404)
    await clock.advance(150 * second)
    expect(logged('list or watch failed, retrying')).toHaveLength(1)
    const reminders = logged('list still fails, retrying').map(({ failingForMs }) => failingForMs)
    expect(reminders).toEqual([10_600, 70_600, 130_600])
    expect(logged('list still fails, retrying').map(({ level }) => level)).toEqual(['warn', 'error', 'error'])
  })

  it('Reflector logs an error once a minute also where the failure is another at each attempt', async () => {
    const { clock, logged } = await started((call) => 500 + call)
    await clock.advance(210 * second)
    const reminders = logged('list still fails, retrying').filter(({ level }) => level === 'error')
    expect(reminders).toHaveLength(3)
  })

  it('Reflector logs no reminder after its first list, since an outage would repeat it for every watch', async () => {
    const { clock, logged } = await started((call) => (call === 1 ? 200 : 503))
    await clock.advance(5 * 60 * second)
    expect(logged('list or watch failed, retrying')).toHaveLength(1)
    expect(logged('list still fails, retrying')).toEqual([])
  })

  it('Reflector logs its recovery before the first list counts as synced', async () => {
    const { clock, log, reflector } = await started((call) => (call === 1 ? 404 : 200))
    const order: unknown[] = []
    vi.spyOn(log, 'info').mockImplementation((_fields: unknown, message?: unknown) => void order.push(message))
    void reflector.synced().then(() => order.push('synced'))
    await clock.advance(second)
    expect(order).toEqual(['list and watch recovered', 'synced'])
  })
})
