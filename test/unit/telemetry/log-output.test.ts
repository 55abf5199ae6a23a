import { Writable } from 'node:stream'
import { describe, expect, it, vi } from 'vitest'
import { LogOutput } from '../../../src/telemetry/log-output.ts'

/** A stream whose reader the test controls. */
function setUp() {
  const received: string[] = []
  let resume: (() => void) | undefined
  const stream = new Writable({
    decodeStrings: false,
    write: (chunk, _encoding, done) => {
      received.push(String(chunk))
      resume = done
    },
  })
  const onRecovered = vi.fn()
  const output = new LogOutput(stream, { onRecovered })
  const drain = (): void => {
    while (stream.writableLength > 0) resume?.()
  }
  return { stream, output, onRecovered, received, drain }
}

const line = `${'x'.repeat(1023)}\n`

describe('LogOutput', () => {
  it('keeps at most 1 MiB for a reader that is stopped, and reports the dropped lines when it goes on', () => {
    const { drain, onRecovered, output, received, stream } = setUp()
    for (let i = 0; i < 5000; i++) output.write(line)
    expect(stream.writableLength).toBeGreaterThanOrEqual(1024 * 1024)
    expect(stream.writableLength).toBeLessThan(1024 * 1024 + 2 * line.length)
    expect(output.writableLength).toBe(0)
    expect(onRecovered).not.toHaveBeenCalled()
    drain()
    const kept = received.length
    output.write('next\n')
    expect(onRecovered).toHaveBeenCalledExactlyOnceWith(5000 - kept)
    expect(received.at(-1)).toBe('next\n')
  })

  it('drops every line once the reader is gone', () => {
    const { drain, onRecovered, output, received, stream } = setUp()
    output.write('first\n')
    drain()
    stream.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
    for (let i = 0; i < 5000; i++) output.write(line)
    expect(received).toEqual(['first\n'])
    expect([stream.writableLength, output.writableLength]).toEqual([0, 0])
    expect(onRecovered).not.toHaveBeenCalled()
  })
})
