import { describe, expect, it } from 'vitest'
import { outcomeOf } from '../../../src/commands/renew.ts'
import { formatTime } from '../../../src/lib/time.ts'
import { condition, hourMs, minuteMs, now, status } from '../../support/builders.ts'

const held = status({
  conditions: [condition('RenewalHealthy')],
  tokenFingerprint: 'aaaaaaaaaaaa',
  lastRenewalAt: formatTime(now - hourMs),
  expiresAt: formatTime(now + hourMs),
})
const expiresAt = formatTime(now + 2 * hourMs)

describe('a renewal that worked', () => {
  it.each([
    ['another token', { tokenFingerprint: 'bbbbbbbbbbbb', lastRenewalAt: formatTime(now) }],
    ['another token within the same second', { tokenFingerprint: 'bbbbbbbbbbbb' }],
    ['the same value with a new life', { lastRenewalAt: formatTime(now) }],
  ])('says until when the token is valid: %s', (_, fields) => {
    expect(outcomeOf(held, { ...held, ...fields, expiresAt }, now)).toEqual({
      isRenewed: true,
      text: `renewed, valid until ${expiresAt} (2h)`,
    })
  })

  it('is the first token too', () => {
    expect(outcomeOf(status(), held, now)).toMatchObject({ isRenewed: true })
  })
})

it('where the gateway gave the same token, nothing was renewed, and it says so', () => {
  const { isRenewed, text } = outcomeOf(held, held, now + 30 * minuteMs)
  expect(isRenewed).toBe(false)
  expect(text).toContain(`not renewed: the gateway was asked, and the token is still the same, valid until`)
  expect(text).toContain('(30m)')
})

it('one that did not work says why, in one line', () => {
  const conditions = [condition('Ready'), condition('RenewalHealthy', 'False', 'GatewayError', 'HTTP 503\nagain')]
  expect(outcomeOf(held, status({ conditions, tokenFingerprint: 'bbbbbbbbbbbb' }), now)).toEqual({
    isRenewed: false,
    text: 'not renewed: GatewayError: HTTP 503 again',
  })
  expect(outcomeOf(status(), status(), now)).toMatchObject({ isRenewed: false })
})
