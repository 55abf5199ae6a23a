import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { TokenService, type TokenServiceOptions } from '../../../simulator/token-service.ts'
import type { Failure } from '../../../src/enos/failure.ts'
import { statusFailure } from '../../../src/enos/failure.ts'
import type { CallResult } from '../../../src/enos/token-client.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { Application } from '../../../src/tokens/application.ts'
import type { Identity } from '../../../src/tokens/membership.ts'
import { RefreshSupport } from '../../../src/tokens/refresh-support.ts'
import { type AttemptReport, Renewer } from '../../../src/tokens/renewer.ts'
import { gatewayUrl, heldToken, hourMs, marker, membership, minuteMs, now } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { clientOf, failure, readableLog, ScriptedClient, tokenResult } from '../enos/support.ts'

let clock: FakeClock
let application: Application
let identity: Identity
let refreshSupport: RefreshSupport<Application>
let summoned: string[]
let tokens: string[]
let lines: string[]

beforeEach(() => {
  clock = new FakeClock(now)
  application = new Application('application-1', gatewayUrl, new Sensitive(marker.appKey), 0)
  identity = application.join('ns/a', membership()).identity
  refreshSupport = new RefreshSupport()
  summoned = []
  tokens = []
})

function serviceClient(options: Partial<TokenServiceOptions> = {}): { client: ScriptedClient; service: TokenService } {
  const applications = [{ appKey: marker.appKey, appSecret: marker.appSecret }]
  const service = new TokenService({ clock, applications, ...options })
  return { client: clientOf(clock, () => service), service }
}

function attempt(client: ScriptedClient, signal = new AbortController().signal): Promise<AttemptReport> {
  const readable = readableLog()
  lines = readable.lines
  const renewer = new Renewer({
    clock,
    client,
    log: readable.log,
    random: () => 1,
    summonHolders: (_, fingerprint) => {
      summoned.push(fingerprint)
      return Promise.resolve()
    },
    onToken: ({ token }) => void tokens.push(token?.token.reveal() ?? ''),
  })
  return renewer.attempt(application, identity, refreshSupport, signal)
}

const failed = (overrides?: Partial<Failure>): CallResult => ({ kind: 'failed', failure: failure(overrides) })

describe('Renewer.attempt', () => {
  it('makes only a get when that answers a new token', async () => {
    const { client, service } = serviceClient()
    const report = await attempt(client)
    expect(client.operations).toEqual(['get'])
    expect(report).toEqual({ operation: 'get', failure: undefined, gatewayHealth: 'answers', hasNewToken: true })
    expect(application.token?.token.reveal()).toBe(service.currentToken(marker.appKey))
    expect(application.token?.expiresAt).toBe(now + 2 * hourMs)
    expect(application.isProven(identity)).toBe(true)
    expect(application.lastRenewal).toEqual({ atWall: now, operation: 'get' })
  })

  it('does not refresh a token outside its window', async () => {
    const { client } = serviceClient()
    await attempt(client)
    await clock.advance(95 * minuteMs)
    const report = await attempt(client)
    expect(client.operations).toEqual(['get', 'get'])
    expect(report.hasNewToken).toBe(false)
  })

  it('refreshes inside the window, and reports the new token at once', async () => {
    const { client, service } = serviceClient()
    await attempt(client)
    const first = service.currentToken(marker.appKey)
    await clock.advance(96 * minuteMs)
    const report = await attempt(client)
    expect(client.operations).toEqual(['get', 'get', 'refresh'])
    expect(client.calls[2]?.token).toBe(first)
    expect(report).toEqual({ operation: 'refresh', failure: undefined, gatewayHealth: 'answers', hasNewToken: true })
    expect(tokens).toEqual([first, service.currentToken(marker.appKey)])
    expect(application.token?.expiresAt).toBe(clock.now() + 2 * hourMs)
    expect(application.lastRenewal?.operation).toBe('refresh')
  })

  it('takes a token that another client renewed, without a refresh', async () => {
    const { client, service } = serviceClient()
    await attempt(client)
    const first = service.currentToken(marker.appKey) ?? ''
    await clock.advance(96 * minuteMs)
    const other = clientOf(clock, () => service)
    await other.call({
      gatewayUrl,
      appKey: new Sensitive(marker.appKey),
      appSecret: new Sensitive(marker.appSecret),
      timeoutMs: 1,
      operation: 'refresh',
      token: new Sensitive(first),
    })
    // Another process has timestamps of its own.
    await clock.advance(10)
    await attempt(client)
    expect(client.operations).toEqual(['get', 'get'])
    expect(application.token?.token.reveal()).toBe(service.currentToken(marker.appKey))
  })

  it('summons the holders of the old token before a refresh', async () => {
    const { client } = serviceClient()
    await attempt(client)
    const first = application.token?.fingerprint
    await clock.advance(96 * minuteMs)
    await attempt(client)
    expect(summoned).toEqual([first])
  })

  it('takes a refresh that prolongs the token without changing it', async () => {
    const { client } = serviceClient({ doesRefreshChangeToken: false })
    await attempt(client)
    const first = application.token
    await clock.advance(96 * minuteMs)
    const report = await attempt(client)
    expect(report.hasNewToken).toBe(true)
    expect(application.token?.fingerprint).toBe(first?.fingerprint)
    expect(application.token?.issuedAtWall).toBe(first?.issuedAtWall)
    expect(application.token?.expiresAt).toBe(clock.now() + 2 * hourMs)
  })

  it.each([
    ['the same token', () => application.token?.token.reveal() ?? ''],
    ['another token', () => `token-at-${clock.now()}`],
  ])('fails when a refresh answers %s without more life', async (_, valueOf) => {
    const { client } = serviceClient()
    await attempt(client)
    await clock.advance(96 * minuteMs)
    const honest = client.answer
    const endsAt = now + 2 * hourMs
    client.answer = () => tokenResult(clock, valueOf(), endsAt - clock.now())
    const { failure: seen, gatewayHealth } = await attempt(client)
    expect(seen).toEqual({
      class: 'retry',
      reason: 'UnexpectedReply',
      message: `refresh at ${gatewayUrl}: status 0, but the token still expires in 1440 s; expected a longer life`,
    })
    expect(gatewayHealth).toBe('answers')
    expect(identity.failures).toBe(1)
    expect(application.maxExpireMs).toBe(2 * hourMs)
    client.answer = honest
    await clock.advance(1000)
    expect((await attempt(client)).failure).toBeUndefined()
    expect(application.token?.expiresAt).toBe(clock.now() + 2 * hourMs)
  })

  it('accepts a forced refresh of a token that is as good as new', async () => {
    const client = new ScriptedClient(clock, () => tokenResult(clock, 'new', 7_200_000))
    await attempt(client)
    application.join('ns/a', membership({ renewRequest: '1' }))
    const report = await attempt(client)
    expect(client.operations).toEqual(['get', 'get', 'refresh'])
    expect(report.failure).toBeUndefined()
  })

  it.each([1002, 1003, 1004, 1202])(
    'retries a refresh that is refused with %i after a get that worked',
    async (status) => {
      const { client } = serviceClient()
      await attempt(client)
      await clock.advance(96 * minuteMs)
      const honest = client.answer
      client.answer = (operation, request) => {
        const refused = statusFailure({ operation, gatewayUrl, timeoutMs: 1 }, status)
        return operation === 'get' ? honest(operation, request) : { kind: 'failed', failure: refused }
      }
      const { failure: seen, gatewayHealth } = await attempt(client)
      expect(seen).toMatchObject({ class: 'retry', reason: 'GatewayError', status })
      expect(seen?.message).toContain(`${gatewayUrl} answered ${status}: `)
      expect(seen?.message).toContain('get has just worked with the same keys')
      expect(gatewayHealth).toBe('answers')
      client.answer = () => failed({ class: 'userMustAct', reason: 'InvalidAppSecret', status })
      expect((await attempt(client)).failure).toMatchObject({ class: 'userMustAct', reason: 'InvalidAppSecret' })
    },
  )

  it.each([
    [1002, { appKey: new Sensitive('"marker-key"') }, '; the appKey is in quotes'],
    [1003, { appSecret: new Sensitive('marker-secret ') }, '; the appSecret ends with white space'],
    [1003, {}, 'the appSecret does not belong to the appKey'],
    [1004, { appSecret: new Sensitive('marker-secret ') }, 'that the clocks of node and gateway agree'],
  ])('says after %i what is odd about the form of the refused value', async (status, overrides, ending) => {
    const wanted = membership(overrides)
    application = new Application('application-1', gatewayUrl, wanted.appKey, 0)
    identity = application.join('ns/a', wanted).identity
    const refused = statusFailure({ operation: 'get', gatewayUrl, timeoutMs: 1 }, status)
    const { failure: seen } = await attempt(new ScriptedClient(clock, () => ({ kind: 'failed', failure: refused })))
    expect(seen?.message.endsWith(ending)).toBe(true)
    expect(lines.join('')).not.toContain('marker')
  })

  it.each([1203, 1204])('asks get again when a refresh is answered with %i', async (status) => {
    const second = tokenResult(clock, 'second', 7_200_000)
    const answers: CallResult[] = [
      tokenResult(clock, 'first', 60_000),
      { kind: 'getAgain', failure: failure({ message: String(status) }) },
      second,
    ]
    application.maxExpireMs = 7_200_000
    const client = new ScriptedClient(clock, () => answers.shift() ?? { kind: 'failed', failure: failure() })
    const report = await attempt(client)
    expect(client.operations).toEqual(['get', 'refresh', 'get'])
    expect(report.failure).toBeUndefined()
    expect(application.token?.token.reveal()).toBe('second')
  })

  it('fails after two refused refreshes, and leaves the rest to the next attempt', async () => {
    application.maxExpireMs = 7_200_000
    const client = new ScriptedClient(clock, (operation) =>
      operation === 'get' ? tokenResult(clock, 'first', 60_000) : { kind: 'getAgain', failure: failure() },
    )
    const report = await attempt(client)
    expect(client.operations).toEqual(['get', 'refresh', 'get', 'refresh', 'get'])
    expect(report.failure).toEqual(failure())
    expect(identity.failures).toBe(1)
    expect(application.token?.token.reveal()).toBe('first')
  })

  it('fails after one HTTP 404 to refresh, and falls back to method Get after a series', async () => {
    const { client } = serviceClient({ hasRefresh: false })
    await attempt(client)
    await clock.advance(96 * minuteMs)
    const { failure: seen, gatewayHealth } = await attempt(client)
    expect(client.operations).toEqual(['get', 'get', 'refresh'])
    expect(seen).toEqual({
      class: 'retry',
      reason: 'GatewayError',
      message: `refresh at ${gatewayUrl}: not found (HTTP 404 or 405); if it stays so, tokens are renewed by get as they expire`,
    })
    expect(gatewayHealth).toBe('answers')
    expect(identity.failures).toBe(1)
    expect(refreshSupport.isMissing).toBe(false)
    await clock.advance(minuteMs)
    expect((await attempt(client)).failure).toBeUndefined()
    expect(refreshSupport.isMissing).toBe(true)
    await attempt(client)
    expect(client.operations).toEqual(['get', 'get', 'refresh', 'get', 'refresh', 'get'])
  })

  it('probes for refresh with a new token, at the earliest an hour after a 404', async () => {
    const { client } = serviceClient({ hasRefresh: false })
    await attempt(client)
    await clock.advance(96 * minuteMs)
    await attempt(client)
    await clock.advance(minuteMs)
    await attempt(client)
    expect(refreshSupport.isMissing).toBe(true)
    for (const minutes of [23, 120]) {
      await clock.advance(minutes * minuteMs)
      await attempt(client)
      expect(refreshSupport.isFor(application)).toBe(minutes === 120)
    }
    await clock.advance(96 * minuteMs)
    await attempt(client)
    expect(client.operations.filter((one) => one === 'refresh')).toHaveLength(3)
    expect(refreshSupport.isFor(application)).toBe(false)
  })

  it('does not probe for refresh when all members chose method Get', async () => {
    refreshSupport.reportMissing(hourMs, now - 2 * hourMs - minuteMs)
    refreshSupport.reportMissing(hourMs, now - 2 * hourMs)
    identity = application.join('ns/a', membership({ renewalMethod: 'Get' })).identity
    const { client } = serviceClient({ hasRefresh: false })
    await attempt(client)
    await clock.advance(2 * hourMs)
    await attempt(client)
    expect(client.operations).toEqual(['get', 'get'])
    expect(refreshSupport.isFor(application)).toBe(false)
  })

  it('reports that the gateway answers when get worked and refresh failed on the caller’s side', async () => {
    const { client } = serviceClient()
    await attempt(client)
    await clock.advance(96 * minuteMs)
    const honest = client.answer
    client.answer = (operation, request) => {
      return operation === 'refresh' ? failed({ isCallerSide: true }) : honest(operation, request)
    }
    expect((await attempt(client)).gatewayHealth).toBe('answers')
  })

  it('forgets a series of 404 after a successful refresh', async () => {
    refreshSupport.reportMissing(hourMs, now - hourMs - minuteMs)
    refreshSupport.reportMissing(hourMs, now - hourMs)
    refreshSupport.reportNewToken(application, now + 2 * hourMs, now)
    const { client } = serviceClient()
    await attempt(client)
    await clock.advance(96 * minuteMs)
    await attempt(client)
    expect(client.operations).toEqual(['get', 'get', 'refresh'])
    expect(refreshSupport.isMissing).toBe(false)
  })

  it('records neither a failure nor a handled request when a stop aborts the call', async () => {
    identity = application.join('ns/a', membership({ renewRequest: 'please' })).identity
    const aborter = new AbortController()
    const client = new ScriptedClient(clock, () => {
      aborter.abort()
      return { kind: 'failed', failure: failure() }
    })
    const report = await attempt(client, aborter.signal)
    expect(report).toEqual({ operation: 'get', failure: undefined, gatewayHealth: 'unknown', hasNewToken: false })
    expect(identity.failures).toBe(0)
    expect(application.members.get('ns/a')?.handledRequest).toBeUndefined()
    expect(lines).toEqual([])
  })

  it.each([
    ['that it answers, for a token', () => tokenResult(clock, 'token', hourMs), 'answers'],
    ['that it answers, for a refusal', () => failed({ class: 'userMustAct' }), 'answers'],
    ['its failure, for a failure', () => failed(), failure()],
    ['nothing, for a caller-side failure', () => failed({ isCallerSide: true }), 'unknown'],
  ])('reports about the gateway %s', async (_, answer, expected) => {
    const { gatewayHealth } = await attempt(new ScriptedClient(clock, answer))
    expect(gatewayHealth).toEqual(expected)
  })

  it('keeps the lifetime when refreshes prolong the same token', async () => {
    const { client } = serviceClient({ doesRefreshChangeToken: false })
    await attempt(client)
    for (let times = 0; times < 3; times++) {
      await clock.advance(96 * minuteMs)
      await attempt(client)
    }
    expect(client.operations.filter((one) => one === 'refresh')).toHaveLength(3)
    expect(application.token?.lifetimeMs).toBe(2 * hourMs)
  })

  it('makes no further call once the last member has left', async () => {
    const { client } = serviceClient({ lifetimeSeconds: 60 })
    await attempt(client)
    await clock.advance(40_000)
    const { answer } = client
    client.answer = (operation, request) => {
      application.leave('ns/a')
      return answer(operation, request)
    }
    await attempt(client)
    expect(client.operations).toEqual(['get', 'get'])
  })

  it('summons the holders of a token when get answers another one', async () => {
    const { client, service } = serviceClient()
    await attempt(client)
    const before = application.token?.fingerprint
    expect(summoned).toEqual([])
    service.revoke(marker.appKey)
    await attempt(client)
    expect(summoned).toEqual([before])
  })

  it('never refreshes with method Get, and takes the new token after expiry', async () => {
    identity = application.join('ns/a', membership({ renewalMethod: 'Get' })).identity
    const { client } = serviceClient({ lifetimeSeconds: 60 })
    await attempt(client)
    await clock.advance(59_900)
    await attempt(client)
    await clock.advance(100)
    const report = await attempt(client)
    expect(client.operations).toEqual(['get', 'get', 'get'])
    expect(report.hasNewToken).toBe(true)
    expect(application.token?.expiresAt).toBe(clock.now() + 60_000)
  })

  it('refreshes a token with an expire of 0 at once', async () => {
    const client = new ScriptedClient(clock, (operation) =>
      operation === 'get' ? tokenResult(clock, 'dying', 0) : tokenResult(clock, 'new', 7_200_000),
    )
    const report = await attempt(client)
    expect(client.operations).toEqual(['get', 'refresh'])
    expect(report.failure).toBeUndefined()
    expect(application.token?.token.reveal()).toBe('new')
  })

  it('counts failures and backs off when the gateway does not answer', async () => {
    const client = new ScriptedClient(clock, () => ({ kind: 'failed', failure: failure() }))
    const delays: number[] = []
    for (let i = 0; i < 7; i++) {
      await attempt(client)
      delays.push(identity.retryAt - clock.now())
    }
    expect(delays).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
    expect(identity.failures).toBe(7)
    client.answer = () => tokenResult(clock, 'token', 7_200_000)
    await attempt(client)
    expect([identity.failures, identity.failure, identity.retryAt]).toEqual([0, undefined, Number.NEGATIVE_INFINITY])
  })

  it('keeps the old token when the gateway fails', async () => {
    const { client } = serviceClient()
    await attempt(client)
    const { token } = application
    client.answer = () => ({ kind: 'failed', failure: failure() })
    await clock.advance(100 * minuteMs)
    await attempt(client)
    expect(application.token).toBe(token)
    expect(application.isProven(identity)).toBe(true)
  })

  it('finds the new token by get after a refresh whose reply was lost', async () => {
    const { client, service } = serviceClient()
    await attempt(client)
    await clock.advance(96 * minuteMs)
    const honest = client.answer
    client.answer = async (operation, request) => {
      const result = await honest(operation, request)
      return operation === 'refresh' ? { kind: 'failed', failure: failure() } : result
    }
    expect((await attempt(client)).failure).toBeDefined()
    client.answer = honest
    await clock.advance(1000)
    await attempt(client)
    expect(client.operations).toEqual(['get', 'get', 'refresh', 'get'])
    expect(application.token?.token.reveal()).toBe(service.currentToken(marker.appKey))
  })

  it('limits each call to a third of the life left', async () => {
    application.token = heldToken({ expiresAt: now + 12_000 })
    const client = new ScriptedClient(clock, () => ({ kind: 'failed', failure: failure() }))
    await attempt(client)
    expect(client.calls[0]?.timeoutMs).toBe(4000)
  })
})

describe('a forced attempt', () => {
  it('refreshes outside of the window', async () => {
    const { client } = serviceClient()
    await attempt(client)
    application.join('ns/a', membership({ renewRequest: '1' }))
    await clock.advance(minuteMs)
    const report = await attempt(client)
    expect(client.operations).toEqual(['get', 'get', 'refresh'])
    expect(report.hasNewToken).toBe(true)
    expect(application.members.get('ns/a')?.handledRequest).toBe('1')
    expect(application.lastForcedAt).toBe(clock.now())
  })

  it('does not refresh when get answers another token than the held one', async () => {
    const { client, service } = serviceClient()
    await attempt(client)
    service.revoke(marker.appKey)
    application.join('ns/a', membership({ renewRequest: '1' }))
    await clock.advance(minuteMs)
    await attempt(client)
    expect(client.operations).toEqual(['get', 'get'])
  })

  it('refreshes after a restart when get answers the recorded token', async () => {
    const { client } = serviceClient()
    await attempt(client)
    const { expiresAtWall, fingerprint, issuedAtWall } = application.token ?? heldToken()
    application = new Application('application-2', gatewayUrl, new Sensitive(marker.appKey), 0)
    const recorded = { expiresAtWall, fingerprint, issuedAtWall }
    identity = application.join('ns/a', membership({ renewRequest: '1', recorded })).identity
    await clock.advance(minuteMs)
    await attempt(client)
    expect(client.operations).toEqual(['get', 'get', 'refresh'])
  })

  it('handles the request even when it fails', async () => {
    const client = new ScriptedClient(clock, () => ({ kind: 'failed', failure: failure() }))
    application.join('ns/a', membership({ renewRequest: '1' }))
    await attempt(client)
    expect(application.members.get('ns/a')?.handledRequest).toBe('1')
    expect(identity.pending.size).toBe(0)
  })
})

describe('an attempt after a restart', () => {
  it('takes issue and expiry of a token from its record, so that nothing new is published', async () => {
    const { client } = serviceClient()
    await attempt(client)
    const before = application.token ?? heldToken()
    application = new Application('application-2', gatewayUrl, new Sensitive(marker.appKey), 0)
    const { expiresAtWall, fingerprint, issuedAtWall } = before
    identity = application.join('ns/a', membership({ recorded: { expiresAtWall, fingerprint, issuedAtWall } })).identity
    await clock.advance(minuteMs + 700)
    const report = await attempt(client)
    expect(report.hasNewToken).toBe(false)
    expect(application.token).toMatchObject({ expiresAtWall, issuedAtWall, lifetimeMs: 7_200_000 })
  })
})

describe('Renewer.attempt with any answers', () => {
  const results = fc.oneof(
    fc.record({
      kind: fc.constant('token' as const),
      value: fc.constantFrom('a', 'b', 'c'),
      expireMs: fc.constantFrom(0, 1000, 60_000, 7_200_000),
    }),
    fc.constant({ kind: 'getAgain' as const }),
    fc.constant({ kind: 'refreshMissing' as const }),
    fc.constant({ kind: 'failed' as const }),
  )

  it('makes at most five calls, the first a get, with at most one successful refresh', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(results, { minLength: 6, maxLength: 6 }),
        fc.constantFrom('Auto' as const, 'Refresh' as const, 'Get' as const),
        fc.boolean(),
        fc.constantFrom(undefined, 'a'),
        async (script, renewalMethod, isForced, held) => {
          clock = new FakeClock(now)
          refreshSupport = new RefreshSupport()
          application = new Application('application-1', gatewayUrl, new Sensitive(marker.appKey), 0)
          application.maxExpireMs = 7_200_000
          if (held !== undefined) application.token = heldToken({ value: held })
          const renewRequest = isForced ? '1' : undefined
          identity = application.join('ns/a', membership({ renewalMethod, renewRequest })).identity
          let at = 0
          const done: string[] = []
          const client = new ScriptedClient(clock, (operation, request) => {
            const next = script[at++] ?? { kind: 'failed' }
            if (request.operation === 'refresh' && next.kind === 'token') done.push(request.token.reveal())
            if (next.kind === 'token') return tokenResult(clock, next.value, next.expireMs)
            if (next.kind === 'refreshMissing') {
              return operation === 'get' ? { kind: 'failed', failure: failure() } : next
            }
            if (next.kind === 'getAgain' && operation === 'refresh') return { kind: 'getAgain', failure: failure() }
            return { kind: 'failed', failure: failure() }
          })
          await attempt(client)
          expect(client.calls.length).toBeGreaterThanOrEqual(1)
          expect(client.calls.length).toBeLessThanOrEqual(5)
          expect(client.operations[0]).toBe('get')
          expect(done.length).toBeLessThanOrEqual(1)
          if (renewalMethod === 'Get') expect(client.operations).toEqual(['get'])
          for (const [index, operation] of client.operations.entries()) {
            if (operation === 'refresh') expect(client.operations[index - 1]).toBe('get')
          }
          expect(lines.join('')).not.toContain('marker')
        },
      ),
      { numRuns: 300 },
    )
  })

  it('logs one credential and the number of members', async () => {
    application.join('ns/b', membership({ appSecret: new Sensitive('another') }))
    const logged = async (client: ScriptedClient): Promise<object[]> => {
      await attempt(client)
      return lines.map((line) => JSON.parse(line) as object)
    }
    expect(await logged(new ScriptedClient(clock, () => failed()))).toEqual([
      expect.objectContaining({ msg: 'renewal failed', credential: 'ns/a', members: 1 }),
    ])
    expect(await logged(serviceClient().client)).toEqual([
      expect.objectContaining({ msg: 'token received', credential: 'ns/a', members: 1 }),
      expect.objectContaining({ msg: 'renewal recovered', credential: 'ns/a', members: 1 }),
    ])
  })

  it('logs a failed renewal at level info, and its retries at level debug until the reason changes', async () => {
    const messages: string[] = []
    for (const reason of ['GatewayUnreachable', 'GatewayUnreachable', 'GatewayError'] as const) {
      await attempt(new ScriptedClient(clock, () => failed({ reason })))
      for (const line of lines) {
        const { failures, level, msg } = JSON.parse(line) as { failures: number; level: string; msg: string }
        messages.push(`${level} ${msg} ${failures}`)
      }
    }
    expect(messages).toEqual(['info renewal failed 1', 'debug renewal failed 2', 'info renewal failed 3'])
  })

  it('the line token received names a member that got the token, and how many did', async () => {
    const wrong = new Sensitive('wrong')
    application = new Application('application-1', gatewayUrl, new Sensitive(marker.appKey), 0)
    application.join('ns/wrong', membership({ appSecret: wrong }))
    identity = application.join('ns/right', membership()).identity
    application.join('ns/too', membership())
    await attempt(serviceClient().client)
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
      expect.objectContaining({ msg: 'token received', credential: 'ns/right', members: 2 }),
    ])
  })

  it('logs no secret', async () => {
    const { client, service } = serviceClient()
    await attempt(client)
    expect(lines).toHaveLength(1)
    expect(lines.join('')).not.toContain('marker')
    expect(lines.join('')).not.toContain(service.currentToken(marker.appKey))
  })
})
