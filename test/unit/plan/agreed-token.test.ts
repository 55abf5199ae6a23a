import { describe, expect, it } from 'vitest'
import { formatTime } from '../../../src/lib/time.ts'
import { agreedToken } from '../../../src/plan/agreed-token.ts'
import { heldToken, secret, status } from '../../support/builders.ts'

const token = heldToken()
const { expiresAtWall, fingerprint, issuedAtWall } = token

const annotated = (expiresBy: number, issuedBy: number) =>
  secret(
    {},
    {
      metadata: {
        annotations: {
          'enos.io/expires-at': formatTime(expiresAtWall + expiresBy),
          'enos.io/issued-at': formatTime(issuedAtWall + issuedBy),
        },
      },
    },
  )

const recorded = (tokenFingerprint: string, expiresBy: number) =>
  status({
    tokenFingerprint,
    expiresAt: formatTime(expiresAtWall + expiresBy),
    issuedAt: formatTime(issuedAtWall - 60_000),
  })

describe('agreedToken', () => {
  it('agreedToken takes the times of the annotations where they are at most 2 s from ours', () => {
    const { expiresAtWall: expires, issuedAtWall: issued } = agreedToken(token, annotated(-1000, 2000), status())
    expect([expires - expiresAtWall, issued - issuedAtWall]).toEqual([-1000, 2000])
  })

  it.each([
    ['an expiry', annotated(3000, 0)],
    ['a time of issue', annotated(0, -3000)],
  ])('agreedToken keeps our times where the annotations have %s that is more than 2 s from ours', (_, content) => {
    expect(agreedToken(token, content, status())).toEqual(token)
  })

  it('agreedToken takes the times of a status about the same token, for a Secret without annotations', () => {
    const agreed = agreedToken(token, secret(), recorded(fingerprint, 1000))
    expect(agreed.expiresAtWall).toBe(expiresAtWall + 1000)
    expect(agreed.issuedAtWall).toBe(issuedAtWall - 60_000)
    expect(agreed.expiresAt).toBe(token.expiresAt)
  })

  it('agreedToken keeps our times where the status is about another token, or tells another expiry', () => {
    expect(agreedToken(token, secret(), recorded('another', 0))).toEqual(token)
    expect(agreedToken(token, secret(), recorded(fingerprint, 3000))).toEqual(token)
    expect(agreedToken(token, secret(), status())).toEqual(token)
  })
})
