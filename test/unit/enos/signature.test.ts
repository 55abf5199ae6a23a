import { describe, expect, it } from 'vitest'
import { fingerprintOf, signRequest } from '../../../src/enos/signature.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'

// The digests were computed with: printf %s TEXT | sha256sum
describe('signRequest', () => {
  it.each([
    ['key-1', 1572574909697, 'secret-1', '1a8e4a54470c9f47377a371d51c7e9a0bbecd2eb0b885556dd3a7dc1f122dd12'],
    ['schlüssel', 1572574909697, 'geheimß', '3ccf865c27f9279b8d5e351d91882ec988fe6eebe69f1d15682412404cb639c1'],
    ['a', 0, 'b', '535a0f5baf6bac14aef95395d8e754f94c97b71c52527c44c8604be85278397e'],
  ])(
    'is the lower-case sha256 of appKey, timestamp and appSecret as UTF-8: %s',
    (appKey, timestamp, appSecret, hex) => {
      expect(signRequest(new Sensitive(appKey), timestamp, new Sensitive(appSecret))).toBe(hex)
    },
  )

  it('changes with the timestamp', () => {
    const [key, secret] = [new Sensitive('key'), new Sensitive('secret')]
    expect(signRequest(key, 1, secret)).not.toBe(signRequest(key, 2, secret))
  })
})

describe('fingerprintOf', () => {
  it('is the first 12 hex digits of the sha256 of the token', () => {
    expect(fingerprintOf(new Sensitive('APP_PORTAL_S_abc'))).toBe('ca7c37ecf7cf')
  })
})
