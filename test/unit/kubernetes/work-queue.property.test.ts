import fc from 'fast-check'
import { expect, it } from 'vitest'
import { WorkQueue } from '../../../src/kubernetes/work-queue.ts'
import { sleep } from '../../../src/lib/clock.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const keys = ['a', 'b', 'c', 'd'] as const
type Key = (typeof keys)[number]

const key = fc.constantFrom(...keys)
const priority = fc.integer({ min: -2, max: 2 })
const step = fc.oneof(
  fc.record({ do: fc.constant('add' as const), key, priority }),
  fc.record({ do: fc.constant('addAfter' as const), key, priority, delayMs: fc.nat(500) }),
  fc.record({ do: fc.constant('addRateLimited' as const), key, priority }),
  fc.record({ do: fc.constant('forget' as const), key }),
  // Of a key that is not being handled, it forgets nothing.
  fc.record({ do: fc.constant('markClean' as const), key }),
  fc.record({ do: fc.constant('advance' as const), ms: fc.nat(400) }),
)
/** One handling: its duration, when it marks its key clean, and whether it throws. */
const handling = fc.record({
  ms: fc.nat(300),
  cleanAfterMs: fc.option(fc.nat(300), { nil: undefined }),
  isFailure: fc.boolean(),
})

/** Longer than any delay and backoff of this test. */
const longMs = 60_000
const capMs = 1000

it('WorkQueue never handles a key twice at a time, never exceeds its workers, loses no add, handles none twice, and counts as many adds as handlings', async () => {
  const script = {
    workers: fc.integer({ min: 1, max: 3 }),
    steps: fc.array(step, { maxLength: 25 }),
    handlings: fc.array(handling, { maxLength: 15 }),
  }
  await fc.assert(
    fc.asyncProperty(fc.record(script), async ({ workers, steps, handlings }) => {
      const clock = new FakeClock()
      const counts = { adds: 0, handlings: 0 }
      const queue = new WorkQueue<Key>({
        name: 'test',
        clock,
        random: () => 0.5,
        backoff: { baseMs: 10, capMs },
        observer: {
          onAdd: () => counts.adds++,
          onRetry: () => undefined,
          onStart: () => undefined,
          onDone: () => counts.handlings++,
          onLate: () => undefined,
        },
        onError: () => undefined,
      })
      const running = new Set<Key>()
      const problems: string[] = []
      /** A logical clock: orders steps within one millisecond. */
      let tick = 0
      /** The tick of a key's last add that is due: its handling must start later. */
      const owed = new Map<Key, number>()
      /** The tick of a key's last start or `markClean`, which serves all adds before it. */
      const servedLast = new Map<Key, number>()
      /** The due time of a key's earliest delayed add: a handling must start then or later, whatever comes in between. */
      const dueAt = new Map<Key, number>()
      const servedLastAt = new Map<Key, number>()
      /** Keys that a delay may have handled at any time. */
      const everDelayed = new Set<Key>()
      /** Until this time a rate limited add, which may be due sooner, can win. */
      const limitedUntil = new Map<Key, number>()
      const serve = (served: Key): void => {
        servedLast.set(served, ++tick)
        servedLastAt.set(served, clock.now())
      }
      const markClean = (clean: Key): void => {
        if (running.has(clean)) serve(clean)
        queue.markClean(clean)
      }
      const onRateLimited = (limited: Key): void => {
        everDelayed.add(limited)
        owed.set(limited, ++tick)
        dueAt.set(limited, clock.now())
        limitedUntil.set(limited, clock.now() + capMs)
      }
      const outcomes = handlings.values()

      queue.run(workers, async (started) => {
        if (running.has(started)) problems.push(`${started} was handled twice at a time`)
        running.add(started)
        if (running.size > workers) problems.push(`${running.size} at a time`)
        const isOwed = (owed.get(started) ?? 0) > (servedLast.get(started) ?? 0)
        if (!isOwed && !everDelayed.has(started)) problems.push(`${started} was handled without an add`)
        serve(started)
        const { ms, cleanAfterMs, isFailure } = outcomes.next().value ?? { ms: 1, isFailure: false }
        if (cleanAfterMs !== undefined) {
          await sleep(clock, cleanAfterMs)
          markClean(started)
        }
        await sleep(clock, ms)
        running.delete(started)
        if (isFailure) {
          // The queue owes it a retry.
          onRateLimited(started)
          throw new Error('as scripted')
        }
      })

      for (const next of steps) {
        if (next.do === 'advance') {
          await clock.advance(next.ms)
        } else if (next.do === 'forget') {
          queue.forget(next.key)
        } else if (next.do === 'markClean') {
          markClean(next.key)
        } else {
          owed.set(next.key, ++tick)
          if (next.do === 'add') {
            queue.add(next.key, next)
          } else if (next.do === 'addAfter') {
            everDelayed.add(next.key)
            const now = clock.now()
            const pendingAt = dueAt.get(next.key) ?? 0
            const isLimited = (limitedUntil.get(next.key) ?? 0) >= now
            const latestAt = isLimited ? now : now + next.delayMs
            dueAt.set(next.key, pendingAt >= now ? Math.min(pendingAt, latestAt) : latestAt)
            queue.addAfter(next.key, next.delayMs, next)
          } else {
            onRateLimited(next.key)
            queue.addRateLimited(next.key, next)
          }
        }
      }
      await clock.advance(longMs)

      for (const [owedKey, since] of owed) {
        if ((servedLast.get(owedKey) ?? 0) < since) problems.push(`an add of ${owedKey} was lost`)
      }
      for (const [dueKey, at] of dueAt) {
        if ((servedLastAt.get(dueKey) ?? 0) < at) problems.push(`a delayed add of ${dueKey} was lost`)
      }
      expect(problems).toEqual([])
      expect(counts.adds).toBe(counts.handlings)
      expect(queue.snapshot()).toMatchObject({ depth: 0, processing: 0, delayed: 0 })
      expect(clock.pendingTimers).toBe(0)
    }),
    { numRuns: 60 },
  )
})
