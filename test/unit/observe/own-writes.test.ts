import { describe, expect, it } from 'vitest'
import {
  type FinalizerWrite,
  isFinalizerContested,
  mayWriteFinalizer,
  nextFinalizerWriteAt,
  noteFinalizerWrite,
} from '../../../src/observe/own-writes.ts'

/** After writes of the same finalizer, one every 100 ms from 0 on. */
function after(writes: number, isSet = true): FinalizerWrite | undefined {
  let write: FinalizerWrite | undefined
  for (let at = 0; at < writes; at++) write = noteFinalizerWrite(write, isSet, at * 100)
  return write
}

describe('a finalizer', () => {
  it('may be corrected three times at once, then after 2 s', () => {
    for (const writes of [0, 1, 2, 3]) {
      expect(mayWriteFinalizer({ finalizerWrite: after(writes) }, true, writes * 100)).toBe(true)
    }
    const finalizerWrite = after(4)
    expect(mayWriteFinalizer({ finalizerWrite }, true, 400)).toBe(false)
    expect(nextFinalizerWriteAt({ finalizerWrite }, 400)).toBe(2300)
    expect(mayWriteFinalizer({ finalizerWrite }, true, 2300)).toBe(true)
  })

  it('may be written at once where that is no correction', () => {
    expect(mayWriteFinalizer({ finalizerWrite: after(9) }, false, 900)).toBe(true)
  })

  it('is contested until no correction was made for 10 minutes', () => {
    const finalizerWrite = after(4)
    expect(isFinalizerContested({ finalizerWrite: after(3) }, 300)).toBe(false)
    expect(isFinalizerContested({ finalizerWrite }, 400)).toBe(true)
    expect(isFinalizerContested({ finalizerWrite }, 300 + 10 * 60_000)).toBe(false)
    expect(nextFinalizerWriteAt({ finalizerWrite }, 300 + 10 * 60_000)).toBeUndefined()
  })
})
