import { describe, expect, it } from 'vitest'
import type { InputNames } from '../../../src/commands/check-advice.ts'
import { gatewaySteps as stepsOf, isTokenReplaced, type Seen } from '../../../src/commands/check-report.ts'
import { checkOutcome, renderSteps, type Step } from '../../../src/commands/check-steps.ts'
import type { CallResult } from '../../../src/enos/token-client.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { gatewayUrl, hourMs, marker, now } from '../../support/builders.ts'

const names: InputNames = {
  url: 'spec.gateway.url',
  timeout: 'spec.gateway.timeout',
  ca: 'spec.gateway.caRef',
  tlsServerName: 'spec.gateway.tlsServerName',
  appKey: 'key appKey of Secret enos-app',
  appSecret: 'key appSecret of Secret enos-app',
  headers: 'spec.gateway.headersFrom',
}
const gatewaySteps = (what: Seen): Step[] => stepsOf(what, names)
const dayMs = 24 * hourMs
const token: CallResult = { kind: 'token', token: new Sensitive(marker.token), expireMs: 2 * hourMs, sentAt: now }
const seen = (overrides: Partial<Seen> = {}): Seen => ({
  gatewayUrl,
  appKey: new Sensitive(marker.appKey),
  appSecret: new Sensitive(marker.appSecret),
  get: token,
  refresh: undefined,
  isRefreshWanted: false,
  skewMs: 1200,
  certificate: { names: ['apim.example.com'], expiresAtWall: now + 41.5 * dayMs },
  now,
  ...overrides,
})
const unreachable = (cause: string): CallResult => ({
  kind: 'failed',
  failure: { class: 'retry', reason: 'GatewayUnreachable', message: `cannot reach ${gatewayUrl}: ${cause}`, cause },
})
const refused = (reason: 'AppKeyNotFound' | 'InvalidAppSecret' | 'GatewayRejected'): CallResult => ({
  kind: 'failed',
  failure: { class: 'userMustAct', reason, message: `${gatewayUrl} answered with ${reason}` },
})
const results = (steps: readonly Step[]): string => steps.map(({ result, step }) => `${step} ${result}`).join(', ')
const find = (steps: readonly Step[], name: Step['step']): Step | undefined => steps.find(({ step }) => step === name)

describe('gatewaySteps', () => {
  it.each<[string, Partial<Seen>, string]>([
    ['a token', {}, 'reach ok, tls ok, clock ok, appKey ok, appSecret ok, get ok, refresh skipped'],
    [
      'a token from get and one from refresh',
      { isRefreshWanted: true, refresh: token },
      'reach ok, tls ok, clock ok, appKey ok, appSecret ok, get ok, refresh ok',
    ],
    [
      'http',
      { gatewayUrl: 'http://edge.example.com', certificate: undefined },
      'reach ok, tls skipped, clock ok, appKey ok, appSecret ok, get ok, refresh skipped',
    ],
    [
      'no Date header',
      { skewMs: undefined },
      'reach ok, tls ok, clock skipped, appKey ok, appSecret ok, get ok, refresh skipped',
    ],
    [
      'clocks 31 s apart',
      { skewMs: -31_000 },
      'reach ok, tls ok, clock failed, appKey ok, appSecret ok, get ok, refresh skipped',
    ],
    [
      'a gateway that is unreachable',
      { get: unreachable('ENOTFOUND'), skewMs: undefined, isRefreshWanted: true },
      'reach failed, tls unknown, clock unknown, appKey unknown, appSecret unknown, get unknown, refresh unknown',
    ],
    [
      'an untrusted certificate',
      { get: unreachable('SELF_SIGNED_CERT_IN_CHAIN'), skewMs: undefined },
      'reach ok, tls failed, clock unknown, appKey unknown, appSecret unknown, get unknown, refresh skipped',
    ],
    [
      'an unknown appKey',
      { get: refused('AppKeyNotFound') },
      'reach ok, tls ok, clock ok, appKey failed, appSecret unknown, get failed, refresh skipped',
    ],
    [
      'a wrong appSecret',
      { get: refused('InvalidAppSecret') },
      'reach ok, tls ok, clock ok, appKey ok, appSecret failed, get failed, refresh skipped',
    ],
    [
      'a refusal for another reason',
      { get: refused('GatewayRejected') },
      'reach ok, tls ok, clock ok, appKey unknown, appSecret unknown, get failed, refresh skipped',
    ],
    [
      'a gateway without refresh',
      { isRefreshWanted: true, refresh: { kind: 'refreshMissing' } },
      'reach ok, tls ok, clock ok, appKey ok, appSecret ok, get ok, refresh failed',
    ],
  ])('reports %s', (_, overrides, expected) => {
    expect(results(gatewaySteps(seen(overrides)))).toBe(expected)
  })

  it('gives advice once for each thing that is wrong', () => {
    for (const get of [token, unreachable('EFOO'), unreachable('CERT_HAS_EXPIRED'), refused('AppKeyNotFound')]) {
      for (const step of gatewaySteps(seen({ get, skewMs: 60_000 }))) {
        const isNamedAbove = step.detail.startsWith('no token: see')
        expect(step.advice !== undefined, step.step).toBe(step.result === 'failed' && !isNamedAbove)
      }
    }
  })

  it('prints no message twice', () => {
    for (const reason of ['AppKeyNotFound', 'InvalidAppSecret', 'GatewayRejected'] as const) {
      const details = gatewaySteps(seen({ get: refused(reason) })).flatMap(({ detail, result }) =>
        result === 'failed' ? [detail] : [],
      )
      expect(new Set(details).size).toBe(details.length)
    }
  })

  it.each([
    ['ENOTFOUND', 'unknown host (ENOTFOUND)'],
    ['ECONNREFUSED', 'connection refused (ECONNREFUSED)'],
    ['timed out', 'no answer in time'],
    ['LINK_LOCAL_ADDRESS_REFUSED', 'link-local addresses are refused (LINK_LOCAL_ADDRESS_REFUSED)'],
    ['EFOO', 'no connection (EFOO)'],
  ])('explains the network error %s in words', (cause, words) => {
    const steps = gatewaySteps(seen({ get: unreachable(cause) }))
    expect(find(steps, 'reach')?.detail).toBe(`cannot reach ${gatewayUrl}: ${words}`)
  })

  it.each([
    ['CERT_HAS_EXPIRED', 'the certificate has expired', /renewed/],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'the certificate is not trusted', /spec\.gateway\.caRef/],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'the certificate is not trusted', /spec\.gateway\.caRef/],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'the port does not serve TLS', /http:/],
  ])('gives advice for the TLS error %s', (cause, detail, advice) => {
    const tls = find(gatewaySteps(seen({ get: unreachable(cause), certificate: undefined })), 'tls')
    expect(tls?.detail).toBe(`${detail} (${cause})`)
    expect(tls?.advice).toMatch(advice)
  })

  it('advises to correct a CA that was used in vain', () => {
    const usedCa = 'the CA in spec.gateway.caRef (ConfigMap edge, key ca.crt)'
    const steps = stepsOf(seen({ get: unreachable('DEPTH_ZERO_SELF_SIGNED_CERT') }), { ...names, usedCa })
    expect(find(steps, 'tls')?.advice).toBe(`Correct ${usedCa}: no certificate there signed that of the gateway.`)
  })

  it.each(['ECONNRESET', 'UND_ERR_SOCKET', 'HPE_INVALID_CONSTANT'])('suspects https behind http:// for %s', (cause) => {
    const http = { gatewayUrl: 'http://edge.example.com', certificate: undefined }
    const reach = find(gatewaySteps(seen({ ...http, get: unreachable(cause) })), 'reach')
    expect(reach?.advice).toMatch(/serves http:\/\/: a port that serves https:\/\/ answers like this/)
    expect(find(gatewaySteps(seen({ get: unreachable(cause) })), 'reach')?.advice).not.toMatch(/http:/)
  })

  it('suspects what stands in front of the token service for an HTTP 403', () => {
    const message = `get at ${gatewayUrl}: HTTP 403: the request was refused before it reached the token service`
    const failure = { class: 'userMustAct', reason: 'GatewayRejected', message, httpStatus: 403 } as const
    const get: CallResult = { kind: 'failed', failure }
    const step = find(gatewaySteps(seen({ get })), 'get')
    expect(step).toMatchObject({ result: 'failed', detail: message })
    expect(step?.advice).toMatch(/in front of the token service .* header \(spec\.gateway\.headersFrom\)/)
  })

  it('describes the odd form of a refused value and names where it is, but not the value', () => {
    const appSecret = new Sensitive(`"${marker.appSecret}" `)
    const text = JSON.stringify(gatewaySteps(seen({ get: refused('InvalidAppSecret'), appSecret })))
    expect(text).toContain('the value of key appSecret of Secret enos-app ends with white space and is in quotes')
    expect(text).not.toContain(marker.appSecret)
    const appKey = new Sensitive(`'${marker.appKey}'`)
    expect(find(gatewaySteps(seen({ get: refused('AppKeyNotFound'), appKey })), 'appKey')?.detail).toMatch(
      /is in quotes$/,
    )
  })

  it('reports a check that was stopped as unchecked', () => {
    const steps = gatewaySteps(seen({ get: unreachable('stopped') }))
    expect(find(steps, 'reach')).toEqual({ step: 'reach', result: 'unknown', detail: 'the check was stopped' })
    expect(checkOutcome(steps)).toBe('unchecked')
  })

  it('reports whether a refresh replaced the token', () => {
    const other: CallResult = { ...token, token: new Sensitive('marker-other') }
    const same = seen({ isRefreshWanted: true, refresh: token })
    const replaced = seen({ isRefreshWanted: true, refresh: other })
    expect([same, replaced, seen()].map(isTokenReplaced)).toEqual([false, true, false])
    expect(find(gatewaySteps(same), 'refresh')?.detail).toBe('token valid for 2h; the same token, prolonged')
    expect(find(gatewaySteps(replaced), 'refresh')?.detail).toMatch(/; another token: the gateway may have revoked/)
  })

  it('names the hosts of a certificate that is valid for other hosts', () => {
    const get = unreachable('ERR_TLS_CERT_ALTNAME_INVALID')
    const tls = find(gatewaySteps(seen({ get, certificate: { names: ['other.example.com'] } })), 'tls')
    expect(tls?.detail).toContain('; valid for other.example.com')
  })

  it.each([
    [1.5, '1 day'],
    [41.5, '41 days'],
    [0.5, '0 days'],
  ])('rounds the life left of a certificate, %d days, down to %s', (days, words) => {
    const certificate = { names: ['a.example.com', '*.b.example.com'], expiresAtWall: now + days * dayMs }
    expect(find(gatewaySteps(seen({ certificate })), 'tls')?.detail).toBe(
      `the certificate is trusted; valid for a.example.com, *.b.example.com, expires in ${words}`,
    )
  })

  it('shortens a long list of hosts', () => {
    const names = Array.from({ length: 40 }, (_, at) => `h${at}`)
    const tls = find(gatewaySteps(seen({ certificate: { names, expiresAtWall: now + dayMs } })), 'tls')
    expect(tls?.detail).toContain('for h0, h1, h2, h3, h4 and 35 more,')
  })
})

describe('renderSteps', () => {
  const lastLine = (overrides: Partial<Seen>): string | undefined =>
    renderSteps(gatewaySteps(seen(overrides)))
      .trimEnd()
      .split('\n')
      .at(-1)

  it('ends with a conclusion', () => {
    expect(lastLine({})).toBe('The credential works.')
    expect(lastLine({ get: refused('AppKeyNotFound') })).toBe('The credential does not work.')
    expect(lastLine({ skewMs: 90_000 })).toBe('The gateway returns a token, but a step failed.')
  })

  it('prints the advice below the failed step', () => {
    const lines = renderSteps(gatewaySteps(seen({ get: unreachable('ENOTFOUND') }))).split('\n')
    expect(lines[0]).toBe(`FAILED  reach      cannot reach ${gatewayUrl}: unknown host (ENOTFOUND)`)
    expect(lines[1]).toMatch(/^ {19}Correct the host of spec\.gateway\.url/)
  })

  it('prints no token', () => {
    const text = renderSteps(gatewaySteps(seen({ isRefreshWanted: true, refresh: token })))
    expect(text).toContain('token valid for 2h')
    expect(text).not.toContain(marker.token)
  })
})

describe('checkOutcome', () => {
  it.each([
    ['ok', 'works'],
    ['skipped', 'works'],
    ['failed', 'fails'],
    ['unknown', 'unchecked'],
  ] as const)('returns for a step that is %s: %s', (result, expected) => {
    expect(
      checkOutcome([
        { step: 'reach', result: 'ok', detail: '' },
        { step: 'get', result, detail: '' },
      ]),
    ).toBe(expected)
  })

  it('returns fails if one step failed and others are unknown', () => {
    const steps = gatewaySteps(seen({ get: refused('AppKeyNotFound') }))
    expect(checkOutcome(steps)).toBe('fails')
  })
})
