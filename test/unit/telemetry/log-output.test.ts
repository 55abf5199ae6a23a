import { describe, expect, it, vi } from 'vitest'
import { LogOutput, type WriteOutcome } from '../../../src/telemetry/log-output.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const maxBytes = 1024 * 1024
const writeIntervalMs = 50
const line = `${'x'.repeat(1023)}\n`

/** An output whose destination answers each write when the test says so. */
function setUp() {
  const clock = new FakeClock()
  let received = ''
  const last: string[] = []
  let asked: { readonly bytes: Buffer; readonly done: (outcome: WriteOutcome) => void } | undefined
  const output = new LogOutput(
    {
      write: (bytes, done) => {
        if (asked !== undefined) throw new Error('two writes at a time')
        asked = { bytes, done }
      },
      writeLast: (bytes) => void last.push(String(bytes)),
    },
    clock,
  )
  const onRecovered = vi.fn<(dropped: number) => void>()
  output.reportDropped(onRecovered)
  /** Answers the write that is asked for. Default: all of its bytes were written. */
  const answer = (outcome: WriteOutcome = asked?.bytes.length ?? 0): void => {
    const { bytes, done } = asked ?? { bytes: Buffer.of(), done: () => undefined }
    if (typeof outcome === 'number') received += String(bytes.subarray(0, outcome))
    asked = undefined
    done(outcome)
  }
  /** Writes everything, with the pauses in between. */
  const drain = async (): Promise<void> => {
    while (output.pendingBytes > 0) {
      if (asked !== undefined) answer()
      await clock.advance(writeIntervalMs)
    }
  }
  return { answer, clock, drain, last, onRecovered, output, received: () => received, asked: () => asked?.bytes.length }
}

describe('LogOutput', () => {
  it('keeps at most 1 MiB for a reader that is stopped, and reports the dropped lines when it goes on', async () => {
    const { drain, onRecovered, output, received } = setUp()
    for (let i = 0; i < 5000; i++) output.write(line)
    expect(output.pendingBytes).toBe(maxBytes)
    expect(output.writableLength).toBe(0)
    expect(onRecovered).not.toHaveBeenCalled()
    await drain()
    expect(received()).toBe(line.repeat(1024))
    expect(onRecovered).toHaveBeenCalledExactlyOnceWith(5000 - 1024)
    expect(output.droppedLines).toBe(5000 - 1024)
    output.write('next\n')
    await drain()
    expect(received().slice(-10)).toBe(`${'x'.repeat(4)}\nnext\n`)
    expect(onRecovered).toHaveBeenCalledTimes(1)
  })

  it('keeps at most 1 MiB for a disk that is full, and writes it whole once there is room', async () => {
    const { answer, asked, clock, drain, onRecovered, output, received } = setUp()
    const report = 'lines dropped\n'
    onRecovered.mockImplementation(() => output.write(report))
    output.write('first\n')
    answer('later')
    for (let i = 0; i < 5000; i++) {
      output.write(line)
      if (i % 500 !== 0) continue
      await clock.advance(100)
      answer('later')
    }
    expect(output.pendingBytes).toBeLessThanOrEqual(maxBytes)
    expect(asked()).toBeUndefined()
    expect(clock.pendingTimers).toBe(1)
    await clock.advance(100)
    // A disk takes a part of a batch before it is full again.
    answer(3)
    answer('later')
    await clock.advance(100)
    await drain()
    expect(received()).toBe(`first\n${line.repeat(1023)}${report}`)
    expect(onRecovered).toHaveBeenCalledExactlyOnceWith(5000 - 1023)
    expect([output.pendingBytes, clock.pendingTimers]).toEqual([0, 0])
  })

  it('reports lines that are dropped later without those that it has reported', async () => {
    const { drain, onRecovered, output } = setUp()
    for (const dropped of [2, 3]) {
      for (let i = 0; i < 1024 + dropped; i++) output.write(line)
      await drain()
    }
    expect(onRecovered.mock.calls).toEqual([[2], [3]])
    expect(output.droppedLines).toBe(5)
  })

  it('writes a line at once, and those of the next 50 ms together, up to 64 KiB', async () => {
    const { answer, asked, clock, output } = setUp()
    output.write('first\n')
    expect(asked()).toBe(6)
    answer()
    for (let i = 0; i < 100; i++) output.write(line)
    await clock.advance(49)
    expect(asked()).toBeUndefined()
    await clock.advance(1)
    expect(asked()).toBe(64 * 1024)
    await clock.advance(100)
    answer()
    expect(asked()).toBe(36 * 1024)
    answer()
    await clock.advance(50)
    output.write('last\n')
    expect(asked()).toBe(5)
    expect(clock.pendingTimers).toBe(0)
  })

  it('drops every line once the reader is gone, and counts them with those that waited', async () => {
    const { answer, asked, onRecovered, output, received } = setUp()
    output.write('first\n')
    answer()
    output.write('second\n')
    output.write('third\n')
    const flushed = output.flush()
    output.write('fourth\n')
    answer('never')
    await flushed
    expect(output.droppedLines).toBe(3)
    for (let i = 0; i < 5000; i++) output.write(line)
    expect(output.droppedLines).toBe(5003)
    expect(received()).toBe('first\n')
    expect([asked(), output.pendingBytes, output.writableLength]).toEqual([undefined, 0, 0])
    expect(onRecovered).not.toHaveBeenCalled()
  })

  it('a flush ends when all is written, or after 500 ms', async () => {
    const { clock, drain, output } = setUp()
    await output.flush()
    output.write('first\n')
    const ends: string[] = []
    void output.flush().then(() => ends.push('blocked'))
    await clock.advance(499)
    expect(ends).toEqual([])
    await clock.advance(1)
    expect(ends).toEqual(['blocked'])
    void output.flush().then(() => ends.push('written'))
    await drain()
    await clock.advance(0)
    expect(ends).toEqual(['blocked', 'written'])
    expect(clock.pendingTimers).toBe(0)
  })

  it('hands over the waiting lines while the process exits, without those that are being written', () => {
    const { answer, last, output } = setUp()
    output.writeLast()
    output.write('first\n')
    output.write('second\n')
    output.writeLast()
    expect(last).toEqual(['second\n'])
    answer('later')
    output.write('third\n')
    output.writeLast()
    expect(last).toEqual(['second\n', 'first\nthird\n'])
  })
})
