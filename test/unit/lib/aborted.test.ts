import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { aborted, abortWith } from '../../../src/lib/aborted.ts'

describe('aborted', () => {
  it('resolves when the signal aborts, or has aborted', async () => {
    const controller = new AbortController()
    let isResolved = false
    const resolved = aborted(controller.signal).then(() => (isResolved = true))
    await Promise.resolve()
    expect(isResolved).toBe(false)
    controller.abort()
    await resolved
    await aborted(controller.signal)
  })
})

describe('abortWith', () => {
  it('has a controller abort with the signal, for its reason', () => {
    const [outer, inner] = [new AbortController(), new AbortController()]
    abortWith(inner, outer.signal)
    expect(inner.signal.aborted).toBe(false)
    outer.abort(new Error('stop'))
    expect(inner.signal.reason).toEqual(new Error('stop'))
  })

  it('has it abort at once where the signal has aborted', () => {
    const inner = new AbortController()
    abortWith(inner, AbortSignal.abort(new Error('stop')))
    expect(inner.signal.reason).toEqual(new Error('stop'))
  })

  it('leaves nothing with the signal once it is ended', () => {
    const [outer, inner] = [new AbortController(), new AbortController()]
    const unlink = abortWith(inner, outer.signal)
    expect(getEventListeners(outer.signal, 'abort')).toHaveLength(1)
    unlink()
    expect(getEventListeners(outer.signal, 'abort')).toEqual([])
    outer.abort()
    expect(inner.signal.aborted).toBe(false)
  })
})
