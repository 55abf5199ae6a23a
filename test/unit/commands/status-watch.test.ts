import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import type { Terminal } from '../../../src/commands/context.ts'
import type { CredentialObject } from '../../../src/commands/status-problems.ts'
import { statusRows } from '../../../src/commands/status-table.ts'
import { lineView, renderScreen, screenView } from '../../../src/commands/status-watch.ts'
import { watchCredentials, type WatchedCredentials } from '../../../src/commands/watch-credentials.ts'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import type { KubernetesClient, WatchEvent } from '../../../src/kubernetes/types.ts'
import { formatTime } from '../../../src/lib/time.ts'
import { condition, hourMs, minuteMs, now } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const at = (offsetMs: number): string => formatTime(now + offsetMs)

function object(name: string, leftMs: number, reason = 'Synced'): CredentialObject {
  const isSynced = reason === 'Synced'
  const conditions = [condition('Ready', isSynced ? 'True' : 'False', reason), condition('RenewalHealthy')]
  const times = { expiresAt: at(leftMs), issuedAt: at(leftMs - 2 * hourMs), nextRenewalAt: at(leftMs - 20 * minuteMs) }
  return {
    metadata: { namespace: 'plant-a', name },
    spec: { targets: [{ name: `${name}-token` }] },
    status: { conditions, ...times },
  }
}

function terminal(columns: number, rows: number): Terminal {
  return { paint: (color, text) => `<${color}>${text}</>`, size: () => ({ columns, rows }) }
}

function screen(objects: readonly CredentialObject[], columns = 120, rows = 20, note = ''): string[] {
  return renderScreen(statusRows(objects, now), { nowWall: now, note, terminal: terminal(columns, rows) })
}

describe('renderScreen', () => {
  it('shows the share of the life that is left as a bar, the most urgent first, in the colour of the state', () => {
    const lines = screen([
      object('half', hourMs),
      object('over', -minuteMs, 'TokenExpired'),
      object('late', 5 * minuteMs),
    ])
    expect(lines.map((line) => line.replaceAll(/ {2,}/g, '  '))).toEqual([
      '<bold>RESOURCE  READY  TIME LEFT  RENEWS IN  REASON</>',
      '<red>plant-a/over  False  [....................]  expired 1m ago  overdue by 21m  TokenExpired,RenewalOverdue</>',
      '<yellow>plant-a/late  True  [#...................]  5m  overdue by 15m  RenewalOverdue</>',
      '<green>plant-a/half  True  [##########..........]  1h  40m  Synced</>',
      '',
      `2 of 3 ready, 1 expired, ${at(0)}`,
    ])
  })

  it('never has more or longer lines than the terminal, and counts what it leaves out', () => {
    const objects = Array.from({ length: 50 }, (_, index) => object(`resource-with-a-long-name-${index}`, hourMs))
    const lines = screen(objects, 40, 10, 'not up to date: '.repeat(9))
    expect(lines.length).toBeLessThan(10)
    for (const line of lines) expect(line.replaceAll(/<[^>]*>/g, '').length).toBeLessThanOrEqual(40)
    expect(lines).toContain('and 46 more')
  })

  it('shows no control character of a name or message', () => {
    const lines = screen([object('x', hourMs, 'Evil\u001b[2J')], 120, 20, 'a\u001b[31mb')
    expect(lines.join('')).not.toContain('\u001b')
  })
})

/** A fake clock and what a view printed. */
function place() {
  const clock = new FakeClock(now)
  const printed: string[] = []
  return { clock, printed, print: (text: string): void => void printed.push(text) }
}

function watched(...objects: CredentialObject[]): WatchedCredentials {
  return { objects: new Map(objects.map((one) => [`plant-a/${one.metadata.name ?? ''}`, one])), failure: undefined }
}

describe('screenView', () => {
  it('draws in place each second and with each change, and gives the screen and the cursor back', async () => {
    const { clock, print, printed } = place()
    const stop = new AbortController()
    const rest = { describeFailure: () => 'the API server is away', signal: stop.signal, terminal: terminal(120, 20) }
    const view = screenView({ clock, print, ...rest })
    view.show(watched(object('wind-farm', hourMs)))
    const draws = printed.length
    await clock.advance(3000)
    expect(printed.length - draws).toBe(3)
    expect(printed.at(-1)).toMatch(/^\u001b\[H.*59m57s/s)
    view.show({
      ...watched(object('wind-farm', hourMs)),
      failure: new ApiError('list', { code: 0, reason: 'Timeout' }),
    })
    expect(printed.at(-1)).toContain('the API server is away')
    stop.abort()
    view.close()
    expect(printed[0]).toBe('\u001b[?1049h\u001b[?25l')
    expect(printed.at(-1)).toBe('\u001b[?25h\u001b[?1049l')
    await clock.advance(5000)
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('lineView', () => {
  it('prints a line for each change, none for a resource that is as before, and one for a deletion', () => {
    const { clock, print, printed } = place()
    const onNone = vi.fn()
    const view = lineView({ clock, print, onNone })
    view.show(watched(object('a', hourMs), object('b', hourMs, 'InvalidAppSecret')))
    view.show(watched(object('a', hourMs), object('b', hourMs, 'InvalidAppSecret')))
    view.show(watched(object('a', hourMs), object('b', hourMs)))
    view.show(watched(object('b', hourMs)))
    view.show(watched())
    expect(onNone).not.toHaveBeenCalled()
    expect(printed).toEqual([
      `${at(0)} plant-a/a Ready=True Synced 1h left\n`,
      `${at(0)} plant-a/b Ready=False InvalidAppSecret 1h left\n`,
      `${at(0)} plant-a/b Ready=True Synced 1h left\n`,
      `${at(0)} plant-a/a deleted\n`,
      `${at(0)} plant-a/b deleted\n`,
    ])
  })

  it('tells once that there is no resource at the start', () => {
    const { clock, print, printed } = place()
    const onNone = vi.fn()
    const view = lineView({ clock, print, onNone })
    view.show(watched())
    view.show(watched())
    view.show(watched(object('a', hourMs)))
    expect(onNone).toHaveBeenCalledTimes(1)
    expect(printed).toEqual([`${at(0)} plant-a/a Ready=True Synced 1h left\n`])
  })
})

describe('watchCredentials', () => {
  const gone = new ApiError('list', { code: 0, reason: 'ECONNREFUSED' })

  /** Lists `a`, watches the given events, and then stops. */
  function start(lists: (CredentialObject | ApiError)[], events: WatchEvent<CredentialObject>[]) {
    const clock = new FakeClock(now)
    const stop = new AbortController()
    const seen: string[] = []
    const client = {
      async *watch() {
        yield* events.splice(0)
        await Promise.resolve()
        if (lists.length === 0) stop.abort()
      },
    } as unknown as KubernetesClient
    const result = watchCredentials({
      client,
      clock,
      namespace: undefined,
      signal: stop.signal,
      list: () => {
        const next = lists.shift() ?? gone
        return next instanceof ApiError
          ? Promise.reject(next)
          : Promise.resolve({ objects: [next], resourceVersion: '1' })
      },
      onChange: ({ failure, objects }) => {
        seen.push(`${[...objects.keys()].join()}${failure === undefined ? '' : ' failed'}`)
      },
    })
    return { clock, result, seen }
  }

  it('follows what is added and deleted after the list', async () => {
    const [a, b] = [object('a', hourMs), object('b', hourMs)]
    const { result, seen } = start(
      [a],
      [
        { type: 'ADDED', object: b },
        { type: 'DELETED', object: a },
      ],
    )
    await result
    expect(seen).toEqual(['plant-a/a', 'plant-a/a,plant-a/b', 'plant-a/b'])
  })

  it('keeps what it knows while the API server is away, and lists again', async () => {
    const { clock, result, seen } = start([object('a', hourMs), gone, object('b', hourMs)], [])
    for (let step = 0; step < 3; step++) {
      await delay(1)
      await clock.advance(2000)
    }
    await result
    expect(seen).toEqual(['plant-a/a', 'plant-a/a failed', 'plant-a/b'])
  })

  it('fails where the first list fails', async () => {
    const { result } = start([gone], [])
    await expect(result).rejects.toBe(gone)
  })
})
