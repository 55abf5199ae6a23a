import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isGatewayAllowed, isGatewayPattern } from '../../../src/config/allowed-gateways.ts'
import { InvalidValueError, runFlags, variableOf } from '../../../src/config/flags.ts'
import { matchesSelector } from '../../../src/config/label-selector.ts'
import { createProxySelector } from '../../../src/config/proxy.ts'
import { parseRunConfig } from '../../../src/config/run-config.ts'

const value = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '',
    '0',
    ':0',
    ':8080',
    '[::1]:1',
    'true',
    'false',
    'info',
    'json',
    'a,b',
    'a in (b,c),!d',
    'a!=b,c',
    '*.example.com:443',
    '1',
    '64',
    '99999',
    '-1',
    '1e3',
  ),
)
const names = runFlags.map(({ name }) => name)
const flags = fc.dictionary(fc.constantFrom(...names), fc.oneof(value, fc.array(value, { maxLength: 3 })))
const proxies = ['HTTPS_PROXY', 'HTTP_PROXY', 'http_proxy', 'NO_PROXY', 'no_proxy']
const proxy = fc
  .tuple(
    fc.constantFrom('', 'http://', 'https://', 'socks5://', 'ftp://'),
    fc.constantFrom('', 'user:hunter2@', 'user:hunter2%@', 'hunter2@', 'user:hunter2#@'),
    fc.oneof(fc.constantFrom('proxy', 'proxy:3128', '10.0.0.0/8', '::1', '[::1]:1', '*', '.a', 'a,b'), fc.string()),
  )
  .map((parts) => parts.join(''))
const environment = fc
  .tuple(
    fc.dictionary(fc.constantFrom(...names.map(variableOf), 'PATH'), value),
    fc.dictionary(fc.constantFrom(...proxies), fc.oneof(proxy, value)),
  )
  .map(([own, others]) => ({ ...own, ...others }))

it('parseRunConfig returns a configuration or names the invalid flag or variable in one line', () => {
  fc.assert(
    fc.property(flags, environment, (given, variables) => {
      try {
        const config = parseRunConfig(given, variables)
        expect(Object.isFrozen(config)).toBe(true)
        for (const count of [config.maxConcurrentReconciles, config.gatewayMaxConcurrency]) {
          expect(Number.isInteger(count) && count >= 1 && count <= 10_000).toBe(true)
        }
        for (const address of [config.metricsBindAddress, config.healthProbeBindAddress]) {
          expect(address === undefined || (address.port >= 0 && address.port <= 65_535)).toBe(true)
        }
        for (const namespace of config.namespaces) expect(namespace).toMatch(/^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/)
        const selector = config.watchLabelSelector
        expect(selector === undefined || typeof matchesSelector(selector, { a: 'b' }) === 'boolean').toBe(true)
        expect(config.allowedGateways.every(isGatewayPattern)).toBe(true)
        const selectProxy = createProxySelector(config.proxy)
        for (const target of ['https://apim.example', 'http://[::1]:8080']) {
          const selected = selectProxy(new URL(target))
          expect(selected === undefined || URL.canParse(selected)).toBe(true)
        }
      } catch (error) {
        if (!(error instanceof InvalidValueError)) throw error
        expect(error.message).not.toMatch(/[\n\r]/)
        expect(
          [...names.map((name) => `--${name}`), ...names.map(variableOf), ...proxies].some((name) =>
            error.message.startsWith(`${name}: `),
          ),
        ).toBe(true)
        if (!/^(?:--|ENOS_)/.test(error.message)) expect(error.message).not.toContain('hunter2')
      }
    }),
    { numRuns: 3000 },
  )
})

describe('isGatewayAllowed', () => {
  // A last label that begins with a digit makes an IPv4 address of the whole.
  const label = fc.stringMatching(/^[a-z][a-z0-9]{0,7}$/)
  const host = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'))
  const port = fc.option(fc.integer({ min: 1, max: 65_535 }))

  it('a pattern allows the same gateways as a naive implementation', () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        host,
        port,
        host,
        port,
        fc.boolean(),
        (isWild, wanted, wantedPort, suffix, realPort, isBelow) => {
          const real = isBelow ? `${suffix}.${wanted}` : suffix
          const pattern = `${isWild ? '*.' : ''}${wanted}${wantedPort === null ? '' : `:${wantedPort}`}`
          const url = `https://${real}${realPort === null ? '' : `:${realPort}`}`
          const hasHost = isWild ? real.endsWith(`.${wanted}`) : real === wanted
          const hasPort = wantedPort === null || wantedPort === (realPort ?? 443)
          expect(isGatewayPattern(pattern)).toBe(true)
          expect(isGatewayAllowed([pattern], url)).toBe(hasHost && hasPort)
        },
      ),
      { numRuns: 3000 },
    )
  })

  it('no pattern makes isGatewayAllowed throw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), host, (pattern, real) => {
        if (isGatewayPattern(pattern)) expect(typeof isGatewayAllowed([pattern], `https://${real}`)).toBe('boolean')
      }),
      { numRuns: 2000 },
    )
  })
})
