import { describe, expect, it } from 'vitest'
import { gatewaySteps, isGood, renderSteps, type Seen, type Step } from '../../../src/commands/check-report.ts'
import type { CallResult } from '../../../src/enos/token-client.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { gatewayUrl, hourMs, marker, now } from '../../support/builders.ts'

const dayMs = 24 * hourMs
const token: CallResult = { kind: 'token', token: new Sensitive(marker.token), expireMs: 2 * hourMs, sentAt: now }
const seen = (overrides: Partial<Seen> = {}): Seen => ({
  gatewayUrl,
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

  it('gives advice for failed steps only', () => {
    for (const get of [token, unreachable('EFOO'), unreachable('CERT_HAS_EXPIRED'), refused('AppKeyNotFound')]) {
      for (const step of gatewaySteps(seen({ get, skewMs: 60_000 }))) {
        expect(step.advice !== undefined && step.advice !== '', step.step).toBe(step.result === 'failed')
      }
    }
  })

  it.each([
    ['ENOTFOUND', 'unknown host (ENOTFOUND)'],
    ['ECONNREFUSED', 'connection refused (ECONNREFUSED)'],
    ['timed out', 'no answer in time (timed out)'],
    ['EFOO', 'no connection (EFOO)'],
  ])('explains the network error %s in words', (cause, words) => {
    const steps = gatewaySteps(seen({ get: unreachable(cause) }))
    expect(find(steps, 'reach')?.detail).toBe(`cannot reach ${gatewayUrl}: ${words}`)
  })

  it.each([
    ['CERT_HAS_EXPIRED', 'the certificate has expired', /renewed/],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'the certificate is not trusted', /--ca-file/],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'the certificate is not trusted', /--ca-file/],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'the port does not serve TLS', /http:/],
  ])('gives advice for the TLS error %s', (cause, detail, advice) => {
    const tls = find(gatewaySteps(seen({ get: unreachable(cause), certificate: undefined })), 'tls')
    expect(tls?.detail).toBe(`${detail} (${cause})`)
    expect(tls?.advice).toMatch(advice)
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
    expect(lines[1]).toMatch(/^ {19}Correct the host/)
  })

  it('prints no token', () => {
    const text = renderSteps(gatewaySteps(seen({ isRefreshWanted: true, refresh: token })))
    expect(text).toContain('token valid for 2h')
    expect(text).not.toContain(marker.token)
  })
})

describe('isGood', () => {
  it.each([
    ['ok', true],
    ['skipped', true],
    ['failed', false],
    ['unknown', false],
  ] as const)('returns for a step that is %s: %s', (result, expected) => {
    expect(
      isGood([
        { step: 'reach', result: 'ok', detail: '' },
        { step: 'get', result, detail: '' },
      ]),
    ).toBe(expected)
  })
})
