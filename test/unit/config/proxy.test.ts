import { describe, expect, it } from 'vitest'
import { InvalidValueError } from '../../../src/config/flags.ts'
import { createProxySelector, parseProxyConfig, type ProxyConfig } from '../../../src/config/proxy.ts'

const none: ProxyConfig = { httpProxy: undefined, httpsProxy: undefined, noProxy: undefined }

function errorOf(environment: Readonly<Record<string, string>>): string {
  try {
    parseProxyConfig(environment)
  } catch (error) {
    if (error instanceof InvalidValueError) return error.message
    throw error
  }
  throw new Error('expected an InvalidValueError, but the value was accepted')
}

describe('parseProxyConfig', () => {
  it('names in lower case go before names in upper case', () => {
    const environment = { HTTPS_PROXY: 'http://a', http_proxy: 'http://b', HTTP_PROXY: 'http://c', NO_PROXY: 'd' }
    expect(parseProxyConfig(environment)).toEqual({ httpProxy: 'http://b/', httpsProxy: 'http://a/', noProxy: 'd' })
  })

  it('an empty variable counts as not set', () => {
    expect(parseProxyConfig({ HTTP_PROXY: '', https_proxy: ' ', no_proxy: '' })).toEqual(none)
    expect(parseProxyConfig({ https_proxy: '', HTTPS_PROXY: 'http://a' }).httpsProxy).toBe('http://a/')
  })

  it.each([
    ['proxy:3128', 'http://proxy:3128/'],
    ['proxy', 'http://proxy/'],
    ['10.0.0.1:3128', 'http://10.0.0.1:3128/'],
    ['[fd00::1]:3128', 'http://[fd00::1]:3128/'],
    ['user:pass@proxy:3128', 'http://user:pass@proxy:3128/'],
    ['http://user:p%40ss@proxy:3128/', 'http://user:p%40ss@proxy:3128/'],
    ['https://proxy:3129', 'https://proxy:3129/'],
    ['socks5://proxy:1080', 'socks5://proxy:1080'],
    ['socks5h://proxy:1080', 'socks5://proxy:1080'],
    [' http://proxy ', 'http://proxy/'],
  ])('%s is %s', (text, proxy) => {
    expect(parseProxyConfig({ HTTPS_PROXY: text, HTTP_PROXY: text })).toEqual({
      ...none,
      httpProxy: proxy,
      httpsProxy: proxy,
    })
  })

  it.each([
    'ftp://proxy',
    'http://',
    'http:/proxy:3128',
    'proxy:port',
    'proxy:99999',
    'proxy:0',
    'http://proxy/path.pac',
    'http://proxy?x=1',
    'http://user:hunter2%@proxy',
    'http://user:hunter2#x@proxy',
    'http://user:hunter2@',
    'http://user:hunter2@pro xy',
    'http://us\ner:hunter2@proxy',
    '[::1',
  ])('%j is refused in one line that names the variable and not the value', (text) => {
    expect(errorOf({ HTTPS_PROXY: text })).toMatch(/^HTTPS_PROXY: expected \[http:\/\/.*$/)
    expect(errorOf({ http_proxy: text })).toMatch(/^http_proxy: expected /)
    expect(errorOf({ HTTP_PROXY: text })).not.toContain('hunter2')
  })

  it.each([
    '10.0.0.0/33',
    '10.0.0/8',
    'fd00::/129',
    '10.0.0.0/',
    'http://a',
    'a:0',
    'a:65536',
    'a:b',
    '10.*',
    '[a]',
    '.',
  ])('NO_PROXY with the entry %s is refused', (entry) => {
    expect(errorOf({ NO_PROXY: `a,${entry}` })).toMatch(/^NO_PROXY: seen ".*", expected .*$/)
    expect(errorOf({ no_proxy: entry })).toContain(`no_proxy: seen ${JSON.stringify(entry)}`)
  })

  it('a password in NO_PROXY is not quoted', () => {
    expect(errorOf({ NO_PROXY: 'http://user:hunter2@proxy' })).toMatch(/^NO_PROXY: expected /)
  })
})

describe('createProxySelector', () => {
  const select = (noProxy: string | undefined, target: string): string | undefined =>
    createProxySelector({ httpProxy: 'http://plain/', httpsProxy: 'http://secure/', noProxy })(new URL(target))

  it('each scheme has its own proxy', () => {
    expect(select(undefined, 'https://a')).toBe('http://secure/')
    expect(select(undefined, 'http://a')).toBe('http://plain/')
    expect(createProxySelector({ ...none, httpProxy: 'http://plain/' })(new URL('https://a'))).toBeUndefined()
    expect(createProxySelector({ ...none, httpsProxy: 'http://secure/' })(new URL('http://a'))).toBeUndefined()
    expect(createProxySelector({ ...none, httpsProxy: '' })(new URL('https://a'))).toBeUndefined()
  })

  it.each([
    ['*', 'https://anything.example:8443'],
    ['a, * ,b', 'https://anything.example'],
    ['example.com', 'https://example.com'],
    ['example.com', 'https://apim.example.com'],
    ['.example.com', 'https://apim.example.com'],
    ['.example.com', 'https://example.com'],
    ['*.example.com', 'https://a.b.example.com'],
    ['Example.COM', 'https://apim.example.com.'],
    ['example.com.', 'https://example.com'],
    ['a b\texample.com', 'https://example.com'],
    ['example.com:443', 'https://example.com'],
    ['example.com:80', 'http://example.com'],
    ['example.com:8443', 'https://apim.example.com:8443'],
    ['*:8443', 'https://anything.example:8443'],
    ['10.1.2.3', 'https://10.1.2.3:8443'],
    ['10.1.2.3:8443', 'https://10.1.2.3:8443'],
    ['10.0.0.0/8', 'https://10.1.2.3'],
    ['10.0.0.0/8', 'https://167838211'],
    ['10.1.2.3/32', 'https://10.1.2.3'],
    ['0.0.0.0/0', 'https://192.0.2.1'],
    ['10.0.0.0/8', 'https://[::ffff:10.1.2.3]'],
    ['::1', 'https://[::1]:8443'],
    ['[::1]', 'https://[::1]'],
    ['[::1]:8443', 'https://[::1]:8443'],
    ['2001:DB8::/32', 'https://[2001:db8:1::1]'],
    ['[2001:db8::]/32', 'https://[2001:db8::1]'],
    ['fd00::/8', 'https://[fd12:3456::1]'],
  ])('NO_PROXY=%s exempts %s', (noProxy, target) => {
    expect(select(noProxy, target)).toBeUndefined()
  })

  it.each([
    ['', 'https://example.com'],
    [' , ', 'https://example.com'],
    ['example.com', 'https://evilexample.com'],
    ['example.com', 'https://example.com.evil.example'],
    ['*.example.com', 'https://example.com'],
    ['example.com:8443', 'https://example.com'],
    ['example.com:443', 'http://example.com'],
    ['*:8443', 'https://anything.example'],
    ['10.1.2.3', 'https://10.1.2.4'],
    ['10.0.0.0/8', 'https://11.0.0.1'],
    ['10.0.0.0/8', 'https://10.example.com'],
    ['0.0.0.0/0', 'https://example.com'],
    ['0.0.0.0/0', 'https://[2001:db8::1]'],
    ['::1', 'https://[::2]'],
    ['[::1]:8443', 'https://[::1]'],
    ['2001:db8::/32', 'https://[2001:db9::1]'],
    ['fe80::1%eth0', 'https://[fe80::2]'],
  ])('NO_PROXY=%s does not exempt %s', (noProxy, target) => {
    expect(select(noProxy, target)).toBe('http' + (target.startsWith('https') ? '://secure/' : '://plain/'))
  })
})
