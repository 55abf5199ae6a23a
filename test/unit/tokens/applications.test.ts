import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TokenService, type TokenServiceOptions } from '../../../simulator/token-service.ts'
import { Timestamps } from '../../../src/enos/timestamps.ts'
import type { ObjectKey } from '../../../src/kubernetes/types.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { Applications } from '../../../src/tokens/applications.ts'
import type { Membership } from '../../../src/tokens/membership.ts'
import { jitterShareOf } from '../../../src/tokens/renewal-rule.ts'
import { gatewayUrl, heldToken, hourMs, marker, membership, minuteMs, now } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { clientOf, failure, readableLog, type ScriptedClient, tokenResult } from '../enos/support.ts'

let clock: FakeClock
let service: TokenService
let client: ScriptedClient
let applications: Applications
let changed: ObjectKey[]
let urgent: ObjectKey[]
let attempts: string[]
let lines: string[]

const share = jitterShareOf(gatewayUrl, new Sensitive(marker.appKey))
/** Time from a new token of two hours to its renewal. */
const untilRenewalMs = 96 * minuteMs - 0.05 * share * 2 * hourMs

beforeEach(() => {
  clock = new FakeClock(now)
})

afterEach(async () => {
  await applications.shutDown(0)
})

function start(options: Partial<TokenServiceOptions> = {}, concurrency = 32): void {
  service = new TokenService({
    clock,
    applications: [{ appKey: marker.appKey, appSecret: marker.appSecret }],
    appSecretOf: (appKey) => (appKey.startsWith('app-') ? `secret-of-${appKey}` : undefined),
    ...options,
  })
  client = clientOf(clock, () => service)
  changed = []
  urgent = []
  attempts = []
  const readable = readableLog()
  lines = readable.lines
  applications = new Applications({
    clock,
    client,
    log: readable.log,
    random: () => 1,
    gatewayMaxConcurrency: concurrency,
    summonHolders: () => Promise.resolve(),
    onChange: (keys, isUrgent) => {
      const some = [...keys]
      changed.push(...some)
      if (isUrgent) urgent.push(...some)
    },
    onAttempt: (keys, method, result) => void attempts.push(...[...keys].map((key) => `${key} ${method} ${result}`)),
  })
}

function nth(i: number): Partial<Membership> {
  return { appKey: new Sensitive(`app-${i}`), appSecret: new Sensitive(`secret-of-app-${i}`) }
}

function tokenOf(key: ObjectKey): string | undefined {
  return applications.view(key)?.token?.token.reveal()
}

describe('Applications', () => {
  it('gets a token at once for the first member, and reports its renewal time', async () => {
    start()
    applications.join('ns/a', membership())
    await clock.advance(0)
    expect(tokenOf('ns/a')).toBe(service.currentToken(marker.appKey))
    const dueAtWall = applications.view('ns/a')?.renewalAtWall ?? 0
    expect(dueAtWall).toBe(Math.floor((now + untilRenewalMs) / 1000) * 1000)
    expect(urgent).toEqual(['ns/a'])
    expect(attempts).toEqual(['ns/a get success'])
  })

  it('calls once for two hundred members of one application', async () => {
    start()
    for (let i = 0; i < 200; i++) applications.join(`ns/member-${i}`, membership())
    await clock.advance(minuteMs)
    expect(client.operations).toEqual(['get'])
    expect(new Set(urgent).size).toBe(200)
    expect(applications.view('ns/member-199')?.memberCount).toBe(200)
  })

  it('gives a later member the token without a call', async () => {
    start()
    applications.join('ns/a', membership())
    await clock.advance(1000)
    applications.join('ns/b', membership())
    expect(tokenOf('ns/b')).toBe(tokenOf('ns/a'))
    await clock.advance(minuteMs)
    expect(client.operations).toEqual(['get'])
  })

  it('gives no token to a member with the appKey only, and reports the reason', async () => {
    start()
    applications.join('ns/a', membership())
    applications.join('ns/thief', membership({ appSecret: new Sensitive('guessed') }))
    await clock.advance(1000)
    expect(applications.view('ns/thief')).toMatchObject({
      token: undefined,
      renewalAtWall: undefined,
      lastRenewal: undefined,
      failure: { class: 'userMustAct', reason: 'InvalidAppSecret' },
    })
    expect(applications.view('ns/a')?.failure).toBeUndefined()
    expect(tokenOf('ns/a')).toBeDefined()
  })

  it('refreshes when the window begins, not before, for all members', async () => {
    start()
    applications.join('ns/a', membership())
    applications.join('ns/b', membership())
    await clock.advance(untilRenewalMs - 1000)
    expect(client.operations).toEqual(['get'])
    const first = tokenOf('ns/a')
    await clock.advance(1001)
    expect(client.operations).toEqual(['get', 'get', 'refresh'])
    expect(tokenOf('ns/a')).not.toBe(first)
    expect(tokenOf('ns/b')).toBe(tokenOf('ns/a'))
  })

  it('keeps a token valid for days with two calls a renewal', async () => {
    start()
    applications.join('ns/a', membership())
    await clock.advance(0)
    const renewals = Math.floor((48 * hourMs) / untilRenewalMs)
    for (let at = 0; at < 48 * hourMs; at += 10 * minuteMs) {
      await clock.advance(10 * minuteMs)
      expect(service.isValid(tokenOf('ns/a') ?? '')).toBe(true)
    }
    expect(client.calls.length).toBeLessThanOrEqual(1 + 2 * renewals)
  })

  it('polls by get at expiry when the gateway has no refresh, and has the new token within a second', async () => {
    start({ hasRefresh: false, lifetimeSeconds: 60 })
    applications.join('ns/a', membership())
    await clock.advance(0)
    await clock.advance(59_999)
    // It takes a second 404 to believe it.
    expect(client.operations).toEqual(['get', 'get', 'refresh', 'get', 'refresh'])
    await clock.advance(1001)
    expect(service.isValid(tokenOf('ns/a') ?? '')).toBe(true)
    expect(client.calls.length).toBeLessThan(11)
    expect(applications.view('ns/a')).toMatchObject({ method: 'Get', isRefreshMissing: true, failure: undefined })
  })

  it('finds out once for all applications that a gateway has no refresh', async () => {
    start({ hasRefresh: false, lifetimeSeconds: 60 })
    applications.join('ns/a', membership(nth(1)))
    await clock.advance(59_000)
    expect(client.operations.filter((operation) => operation === 'refresh')).toHaveLength(2)
    applications.join('ns/b', membership(nth(2)))
    await clock.advance(59_000)
    expect(client.operations.filter((operation) => operation === 'refresh')).toHaveLength(2)
  })

  it('goes on refreshing after a single 404', async () => {
    start()
    for (let i = 0; i < 20; i++) {
      applications.join(`ns/${i}`, membership(nth(i)))
      await clock.advance(minuteMs)
    }
    const honest = client.answer
    let glitches = 1
    client.answer = (operation, request) =>
      operation === 'refresh' && glitches-- > 0 ? { kind: 'refreshMissing' } : honest(operation, request)
    await clock.advance(2 * hourMs)
    expect(glitches).toBeLessThan(0)
    for (let i = 0; i < 20; i++) {
      expect(applications.view(`ns/${i}`)).toMatchObject({ method: 'Refresh', failure: undefined })
      expect(service.isValid(tokenOf(`ns/${i}`) ?? '')).toBe(true)
    }
  })

  it('renews all applications in time again once a gateway has refresh', async () => {
    start()
    const honest = client.answer
    let isMissing = true
    client.answer = (operation, request) =>
      isMissing && operation === 'refresh' ? { kind: 'refreshMissing' } : honest(operation, request)
    applications.join('ns/a', membership(nth(1)))
    // It is believed after 98 minutes; the token that comes after four hours is to ask again with, 90 minutes later.
    await clock.advance(5 * hourMs)
    applications.join('ns/b', membership(nth(2)))
    await clock.advance(30 * minuteMs - 1000)
    isMissing = false
    expect(applications.view('ns/b')).toMatchObject({ method: 'Get', isRefreshMissing: true })
    changed = []
    await clock.advance(7 * minuteMs)
    expect(changed).toContain('ns/b')
    expect(applications.view('ns/b')).toMatchObject({ method: 'Refresh', isRefreshMissing: false })
    await clock.advance(hourMs)
    expect(attempts.slice(-2)).toEqual(['ns/a refresh success', 'ns/b refresh success'])
  })

  it('retries a failed forced renewal soon, not at the next renewal', async () => {
    start()
    applications.join('ns/a', membership())
    await clock.advance(minuteMs)
    const honest = client.answer
    client.answer = () => ({ kind: 'failed', failure: failure() })
    applications.join('ns/a', membership({ renewRequest: 'now' }))
    await clock.advance(0)
    expect(applications.view('ns/a')).toMatchObject({ failures: 1, handledRequest: 'now' })
    client.answer = honest
    await clock.advance(2000)
    expect(applications.view('ns/a')).toMatchObject({ failures: 0, failure: undefined })
  })

  it('makes no call for a member that joins after a stop', async () => {
    start()
    await applications.shutDown(0)
    applications.join('ns/a', membership())
    await clock.advance(minuteMs)
    expect(client.calls).toEqual([])
    expect(applications.view('ns/a')).toMatchObject({ token: undefined, failure: undefined })
  })

  it('retries a gateway that fails, and recovers', async () => {
    start()
    const honest = client.answer
    client.answer = () => ({ kind: 'failed', failure: failure() })
    applications.join('ns/a', membership())
    await clock.advance(10_000)
    expect(client.calls.map(({ at }) => at - now)).toEqual([0, 1000, 3000, 7000])
    expect(applications.view('ns/a')).toMatchObject({ failures: 4, failure: { reason: 'GatewayError' } })
    client.answer = honest
    await clock.advance(10_000)
    expect(applications.view('ns/a')).toMatchObject({ failures: 0, failure: undefined })
    expect(attempts.at(-1)).toBe('ns/a get success')
  })

  it('retries user errors at most every ten minutes, and at once when the appSecret changes', async () => {
    start()
    applications.join('ns/a', membership({ appSecret: new Sensitive('wrong') }))
    await clock.advance(3 * hourMs)
    const { length } = client.calls
    await clock.advance(hourMs)
    expect(client.calls.length - length).toBeLessThanOrEqual(6)
    applications.join('ns/a', membership())
    await clock.advance(0)
    expect(tokenOf('ns/a')).toBe(service.currentToken(marker.appKey))
  })

  it('probes a gateway that is down with one application at a time', async () => {
    start()
    client.answer = () => ({ kind: 'failed', failure: failure({ reason: 'GatewayUnreachable' }) })
    for (let i = 0; i < 100; i++) applications.join(`ns/${i}`, membership(nth(i)))
    await clock.advance(10_000)
    const { length } = client.calls
    expect(applications.gateways()).toEqual([{ host: 'apim.example.com', isCircuitOpen: true }])
    await clock.advance(minuteMs)
    expect(client.calls.length - length).toBeLessThanOrEqual(13)
    expect(client.calls.length - length).toBeGreaterThanOrEqual(12)
  })

  it('has all tokens soon after a gateway is back', async () => {
    start()
    const honest = client.answer
    client.answer = () => ({ kind: 'failed', failure: failure({ reason: 'GatewayUnreachable' }) })
    for (let i = 0; i < 100; i++) applications.join(`ns/${i}`, membership(nth(i)))
    await clock.advance(10 * minuteMs)
    client.answer = honest
    await clock.advance(35_000)
    for (let i = 0; i < 100; i++) expect(tokenOf(`ns/${i}`)).toBeDefined()
    expect(applications.gateways()).toEqual([{ host: 'apim.example.com', isCircuitOpen: false }])
  })

  it('does not delay a gateway when another one hangs', async () => {
    start({}, 2)
    const honest = client.answer
    client.answer = (operation, request) =>
      request.gatewayUrl === 'https://hanging.example'
        ? new Promise((resolve) => void clock.setTimer(hourMs, () => resolve({ kind: 'failed', failure: failure() })))
        : honest(operation, request)
    for (let i = 0; i < 10; i++) {
      applications.join(`ns/${i}`, membership({ ...nth(i), gatewayUrl: 'https://hanging.example' }))
    }
    applications.join('ns/a', membership())
    await clock.advance(0)
    expect(tokenOf('ns/a')).toBeDefined()
    expect(applications.queues().map((queue) => queue.snapshot().processing)).toEqual([2, 0])
    client.answer = honest
    await clock.advance(hourMs)
  })

  it('coalesces forced renewals to one in 10 s', async () => {
    start()
    applications.join('ns/a', membership())
    await clock.advance(minuteMs)
    for (let i = 1; i <= 5; i++) {
      applications.join('ns/a', membership({ renewRequest: String(i) }))
      await clock.advance(1000)
    }
    expect(client.operations.filter((operation) => operation === 'refresh')).toHaveLength(1)
    await clock.advance(30_000)
    expect(client.operations.filter((operation) => operation === 'refresh')).toHaveLength(2)
    expect(applications.view('ns/a')?.handledRequest).toBe('5')
  })

  it('finds a revoked token when a member has verifyEvery', async () => {
    start()
    applications.join('ns/a', membership({ verifyEveryMs: minuteMs }))
    await clock.advance(1000)
    service.revoke(marker.appKey)
    expect(service.isValid(tokenOf('ns/a') ?? '')).toBe(false)
    await clock.advance(minuteMs)
    expect(service.isValid(tokenOf('ns/a') ?? '')).toBe(true)
    expect(client.operations).toEqual(['get', 'get'])
  })

  it('takes over a found token, and makes its first call when that is due', async () => {
    start()
    const token = heldToken({ expiresAt: now + 2 * hourMs, issuedAtWall: now })
    const { expiresAt, expiresAtWall, fingerprint, issuedAtWall } = token
    const recorded = { expiresAtWall, fingerprint, issuedAtWall }
    applications.join('ns/a', membership({ recorded }), { ...recorded, expiresAt, token: token.token })
    await clock.advance(untilRenewalMs - 1000)
    expect(client.calls).toEqual([])
    expect(tokenOf('ns/a')).toBe(marker.token)
    await clock.advance(1001)
    expect(client.operations).toEqual(['get'])
  })

  it('reports a found token to the members with the same appSecret that wait for one', async () => {
    start()
    client.answer = () => ({ kind: 'failed', failure: failure({ reason: 'GatewayUnreachable' }) })
    applications.join('ns/waiting', membership())
    applications.join('ns/other', membership({ appSecret: new Sensitive('another') }))
    await clock.advance(1000)
    expect(urgent).toEqual([])
    const token = heldToken({ expiresAt: now + 2 * hourMs, issuedAtWall: now })
    const { expiresAt, expiresAtWall, fingerprint, issuedAtWall } = token
    const found = { expiresAt, expiresAtWall, fingerprint, issuedAtWall, token: token.token }
    applications.join('ns/found', membership(), found)
    expect(urgent.toSorted()).toEqual(['ns/found', 'ns/waiting'])
    expect(tokenOf('ns/waiting')).toBe(marker.token)
    expect(tokenOf('ns/other')).toBeUndefined()
  })

  it('reports to all members when one with a larger window makes the renewal earlier', async () => {
    start()
    applications.join('ns/a', membership())
    await clock.advance(0)
    const before = applications.view('ns/a')?.renewalAtWall ?? 0
    applications.join('ns/b', membership({ renewBeforeMs: hourMs }))
    expect(applications.view('ns/a')?.renewalAtWall).toBeLessThan(before)
    await clock.advance(hourMs)
    expect(client.operations).toEqual(['get', 'get', 'refresh'])
  })

  it('drops an application with its last member, and a gateway with its last application', async () => {
    start()
    applications.join('ns/a', membership())
    applications.join('ns/b', membership())
    await clock.advance(0)
    applications.leave('ns/a')
    expect(applications.isMember('ns/a')).toBe(false)
    expect(applications.view('ns/a')).toBeUndefined()
    expect(applications.gateways()).toHaveLength(1)
    applications.leave('ns/b')
    expect(applications.gateways()).toEqual([])
    await clock.advance(3 * hourMs)
    expect(client.operations).toEqual(['get'])
  })

  it('calls with the headers and tlsServerName of the members that make the call, and of no other', async () => {
    start()
    const sent: string[] = []
    const { answer } = client
    client.answer = (operation, request) => {
      const headers = (request.headers ?? []).map(([name, value]) => `${name}: ${value.reveal()}`)
      sent.push([operation, request.tlsServerName ?? '-', ...headers].join(' '))
      return answer(operation, request)
    }
    const headers = (value: string) => ({ headers: new Map([['X-Key', new Sensitive(value)]]) })
    applications.join('ns/a', membership())
    await clock.advance(1000)
    applications.join('ns/b', membership(headers('one')))
    applications.join('ns/c', membership(headers('one')))
    await clock.advance(1000)
    applications.join('ns/d', membership({ tlsServerName: 'apim' }))
    await clock.advance(1000)
    // Another value of the header: the member proves itself anew.
    applications.join('ns/b', membership(headers('two')))
    expect(tokenOf('ns/b')).toBeUndefined()
    await clock.advance(1000)
    expect(sent).toEqual(['get -', 'get - X-Key: one', 'get apim', 'get - X-Key: two'])
    expect(tokenOf('ns/b')).toBe(tokenOf('ns/a'))
    expect(tokenOf('ns/d')).toBe(tokenOf('ns/a'))
    expect(lines.join('')).not.toMatch(/X-Key|one|two/)
  })

  it('moves a member whose appKey or gateway changes', async () => {
    start()
    applications.join('ns/a', membership(nth(1)))
    await clock.advance(0)
    applications.join('ns/a', membership({ ...nth(2), gatewayUrl: 'https://other.example' }))
    await clock.advance(0)
    expect(tokenOf('ns/a')).toBe(service.currentToken('app-2'))
    expect(applications.gateways().map(({ host }) => host)).toEqual(['other.example'])
  })

  it('makes no storm when each get answers another token and two members have different CAs', async () => {
    start()
    let count = 0
    client.answer = () => tokenResult(clock, `token-${++count}`, 7_200_000)
    applications.join('ns/a', membership({ ca: 'one' }))
    applications.join('ns/b', membership({ ca: 'two' }))
    await clock.advance(10_000)
    expect(client.calls.length).toBeLessThanOrEqual(22)
  })

  it('backs off for the whole window when refreshes do not prolong, and recovers at expiry', async () => {
    start()
    const honest = client.answer
    client.answer = async (operation, request) => {
      if (operation === 'get') return await honest(operation, request)
      return await honest('get', request)
    }
    applications.join('ns/a', membership())
    await clock.advance(untilRenewalMs + minuteMs)
    expect(applications.view('ns/a')).toMatchObject({ failure: { reason: 'UnexpectedReply' } })
    await clock.advance(2 * hourMs - untilRenewalMs - 2 * minuteMs)
    // Two calls an attempt: some ten while it doubles to five minutes, and then as the life left allows.
    expect(client.calls.length).toBeLessThan(70)
    expect(service.isValid(tokenOf('ns/a') ?? '')).toBe(true)
    await clock.advance(2 * minuteMs)
    expect(service.isValid(tokenOf('ns/a') ?? '')).toBe(true)
    expect(applications.view('ns/a')?.failure).toBeUndefined()
  })

  it('makes no storm when a gateway answers expired tokens only', async () => {
    start()
    let count = 0
    client.answer = () => tokenResult(clock, `token-${++count}`, 0)
    applications.join('ns/a', membership())
    await clock.advance(10_000)
    expect(client.calls.length).toBeLessThanOrEqual(22)
  })

  it('never sends two calls with the same timestamp, in a thousand renewals', async () => {
    start({ lifetimeSeconds: 10 })
    client.answer = clientOf(clock, () => service, new Timestamps(clock)).answer
    applications.join('ns/a', membership())
    await clock.advance(3 * hourMs)
    expect(client.calls.length).toBeGreaterThan(2000)
    expect(applications.view('ns/a')?.failures).toBe(0)
    expect(attempts.filter((line) => line.endsWith('error'))).toEqual([])
  })

  it('logs no secret', async () => {
    start()
    applications.join('ns/a', membership())
    applications.join('ns/thief', membership({ appSecret: new Sensitive('marker-guessed') }))
    await clock.advance(3 * hourMs)
    expect(lines.length).toBeGreaterThan(2)
    expect(lines.join('')).not.toMatch(/marker|APP_PORTAL/)
  })
})
