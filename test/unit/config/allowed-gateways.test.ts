import { describe, expect, it } from 'vitest'
import { isGatewayAllowed, isGatewayPattern } from '../../../src/config/allowed-gateways.ts'

describe('isGatewayAllowed', () => {
  it('no patterns allow any gateway', () => {
    expect(isGatewayAllowed([], 'https://anything.example')).toBe(true)
  })

  it.each([
    ['apim.example.com', 'https://apim.example.com'],
    ['apim.example.com', 'https://apim.example.com:8443'],
    ['apim.example.com', 'http://apim.example.com/base'],
    ['APIM.Example.com', 'https://apim.example.com'],
    ['apim.example.com:443', 'https://apim.example.com'],
    ['apim.example.com:80', 'http://apim.example.com'],
    ['apim.example.com:8443', 'https://apim.example.com:8443/base'],
    ['*.example.com', 'https://apim.example.com'],
    ['*.example.com', 'https://a.b.example.com'],
    ['*.example.com:8443', 'https://apim.example.com:8443'],
    ['10.0.0.1', 'http://10.0.0.1:8080'],
    ['[::1]', 'https://[::1]:8443'],
    ['[::1]:8443', 'https://[::1]:8443'],
    ['[0:0:0:0:0:0:0:1]', 'https://[::1]'],
    ['[::1]', 'https://[0:0:0:0:0:0:0:1]'],
    ['[2001:DB8::0:1]:8443', 'https://[2001:db8::1]:8443'],
    ['[::ffff:10.0.0.1]', 'https://[::ffff:a00:1]'],
    ['apim.example.com:0443', 'https://apim.example.com'],
  ])('%s allows %s', (pattern, url) => {
    expect(isGatewayAllowed([pattern], url)).toBe(true)
    expect(isGatewayAllowed(['other.example', pattern], url)).toBe(true)
  })

  it.each([
    ['apim.example.com', 'https://evil.example.com'],
    ['apim.example.com', 'https://apim.example.com.evil.example'],
    ['apim.example.com', 'https://x.apim.example.com'],
    ['apim.example.com', 'https://evilapim.example.com'],
    ['apim.example.com:443', 'https://apim.example.com:8443'],
    ['apim.example.com:443', 'http://apim.example.com'],
    ['*.example.com', 'https://example.com'],
    ['*.example.com', 'https://evilexample.com'],
    ['*.example.com', 'https://example.com.evil.example'],
    ['*.example.com:443', 'https://apim.example.com:8443'],
    ['[::1]:8443', 'https://[::1]'],
    ['*.com', 'https://evil.example/.com'],
    ['[::1]', 'https://[::2]'],
    ['[::1]:443', 'https://[::1]:8443'],
  ])('%s does not allow %s', (pattern, url) => {
    expect(isGatewayAllowed([pattern], url)).toBe(false)
  })
})

describe('isGatewayPattern', () => {
  it.each(['a', 'apim.example.com', '*.example.com', 'apim.example.com:443', '10.0.0.1:80', '[::1]', '[fe80::1]:80'])(
    '%s is a pattern',
    (text) => {
      expect(isGatewayPattern(text)).toBe(true)
    },
  )

  it.each([
    '',
    '*',
    '*.',
    'a.*.b',
    'https://a',
    'a/b',
    'a:',
    'a:x',
    'a b',
    '-a',
    'a-',
    '.a',
    'a@b',
    'a:1:2',
    '::1',
    '[::::]',
    '[1]',
    '*.[::1]',
    '1.2.3.4.5',
    'a:0',
    'a:65536',
  ])('"%s" is not a pattern', (text) => {
    expect(isGatewayPattern(text)).toBe(false)
  })
})
