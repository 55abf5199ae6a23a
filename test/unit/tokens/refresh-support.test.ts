import { describe, expect, it } from 'vitest'
import { RefreshSupport } from '../../../src/tokens/refresh-support.ts'
import { hourMs, minuteMs } from '../../support/builders.ts'

const lifetimeMs = 2 * hourMs
const never = Number.POSITIVE_INFINITY

/** A gateway of which it is believed that it has no refresh, since the moment 0. */
function missing(): RefreshSupport<string> {
  const support = new RefreshSupport<string>()
  support.reportMissing(lifetimeMs, -minuteMs)
  expect(support.reportMissing(lifetimeMs, 0)).toBe(true)
  return support
}

describe('RefreshSupport', () => {
  it('assumes refresh until a gateway answers 404', () => {
    const support = new RefreshSupport<string>()
    expect(support.isMissing).toBe(false)
    expect(support.isFor('a')).toBe(true)
  })

  it('ignores any number of 404 within a minute', () => {
    const support = new RefreshSupport<string>()
    for (let at = 0; at < minuteMs; at += 1000) expect(support.reportMissing(lifetimeMs, at)).toBe(false)
    expect(support.isFor('a')).toBe(true)
    expect(support.reportMissing(lifetimeMs, minuteMs)).toBe(true)
    expect(support.isMissing).toBe(true)
    expect(support.isFor('a')).toBe(false)
  })

  it('takes a shorter series of 404 where tokens live for a minute', () => {
    const support = new RefreshSupport<string>()
    expect(support.reportMissing(minuteMs, 0)).toBe(false)
    expect(support.reportMissing(minuteMs, 599)).toBe(false)
    expect(support.reportMissing(minuteMs, 600)).toBe(true)
  })

  it('begins a new series after a refresh', () => {
    const support = new RefreshSupport<string>()
    support.reportMissing(lifetimeMs, 0)
    support.reportRefreshed()
    expect(support.reportMissing(lifetimeMs, hourMs)).toBe(false)
  })

  it('begins a new series with a 404 long after another', () => {
    const support = new RefreshSupport<string>()
    support.reportMissing(lifetimeMs, 0)
    expect(support.reportMissing(lifetimeMs, 24 * hourMs)).toBe(false)
    expect(support.reportMissing(lifetimeMs, 24 * hourMs + minuteMs)).toBe(true)
  })

  it('lets another application probe when the first did not in the life of its token', () => {
    const support = missing()
    support.reportNewToken('a', 3 * hourMs, hourMs)
    support.reportNewToken('b', never, 3 * hourMs - 1)
    expect(support.isFor('a')).toBe(true)
    support.reportNewToken('b', never, 3 * hourMs)
    expect(support.isFor('a')).toBe(false)
    expect(support.isFor('b')).toBe(true)
  })

  it('lets one application probe, an hour later and with a new token', () => {
    const support = missing()
    support.reportNewToken('a', never, hourMs - 1)
    expect(support.isFor('a')).toBe(false)
    support.reportNewToken('b', never, hourMs)
    support.reportNewToken('a', never, hourMs)
    expect(support.isFor('b')).toBe(true)
    expect(support.isFor('a')).toBe(false)
    expect(support.isMissing).toBe(true)
  })

  it('waits another hour after another 404', () => {
    const support = missing()
    support.reportNewToken('a', never, hourMs)
    expect(support.reportMissing(lifetimeMs, 2 * hourMs)).toBe(true)
    expect(support.isFor('a')).toBe(false)
    support.reportNewToken('a', never, 3 * hourMs - 1)
    expect(support.isFor('a')).toBe(false)
    support.reportNewToken('a', never, 3 * hourMs)
    expect(support.isFor('a')).toBe(true)
  })

  it('applies to all applications again after a refresh', () => {
    const support = missing()
    support.reportNewToken('a', never, hourMs)
    support.reportRefreshed()
    expect(support.isMissing).toBe(false)
    expect(support.isFor('b')).toBe(true)
  })

  it('lets another application probe when the first is removed', () => {
    const support = missing()
    support.reportNewToken('a', never, hourMs)
    support.remove('b')
    expect(support.isFor('a')).toBe(true)
    support.remove('a')
    support.reportNewToken('b', never, hourMs)
    expect(support.isFor('b')).toBe(true)
  })
})
