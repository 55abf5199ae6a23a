import { beforeEach, describe, expect, it } from 'vitest'
import { TokenService, type TokenServiceOptions } from '../../../simulator/token-service.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { type Envelope, envelope, signed, tokenOf } from './support.ts'

const keys = { appKey: 'key-1', appSecret: 'secret-1' }
let clock: FakeClock
let timestamp: number

beforeEach(() => {
  clock = new FakeClock()
  timestamp = 0
})

function service(options: Partial<TokenServiceOptions> = {}): TokenService {
  return new TokenService({ clock, applications: [keys], ...options })
}

/** An unused timestamp. */
function fresh(): number {
  timestamp = Math.max(clock.wall(), timestamp + 1)
  return timestamp
}

function get(of: TokenService, { appKey, appSecret } = keys): Envelope {
  return envelope(of.get(signed(appKey, appSecret, fresh())))
}

function refresh(of: TokenService, token: string, { appKey, appSecret } = keys): Envelope {
  return envelope(of.refresh(signed(appKey, appSecret, fresh(), token)))
}

describe('get', () => {
  it('answers the first call with a new token of full lifetime, in the documented envelope', () => {
    const gateway = service()
    const reply = gateway.get(signed('key-1', 'secret-1', fresh()))
    expect(reply).toEqual({
      httpStatus: 200,
      json: {
        status: 0,
        msg: 'SUCCESS',
        business: 'apim-token-service',
        data: { accessToken: expect.stringMatching(/^APP_PORTAL_S_[\x21-\x7e]{20,}$/) as string, expire: 7200 },
      },
    })
  })

  it('answers the full lifetime for a new token while the clock advances', () => {
    const running = new (class extends FakeClock {
      #readings = 0
      override now(): number {
        return super.now() + this.#readings++
      }
    })()
    const gateway = service({ clock: running, lifetimeSeconds: 30 })
    const first = get(gateway)
    expect([first.data?.expire, refresh(gateway, tokenOf(first)).data?.expire]).toEqual([30, 30])
  })

  it('answers the same token until it expires, with the remaining whole seconds', async () => {
    const gateway = service({ lifetimeSeconds: 30 })
    const token = tokenOf(get(gateway))
    await clock.advance(10_001)
    expect(get(gateway).data).toEqual({ accessToken: token, expire: 19 })
    await clock.advance(19_998)
    expect(get(gateway).data).toEqual({ accessToken: token, expire: 0 })
  })

  it('answers another token from the expiry on', async () => {
    const gateway = service({ lifetimeSeconds: 30 })
    const token = tokenOf(get(gateway))
    await clock.advance(30_000)
    const next = get(gateway)
    expect(tokenOf(next)).not.toBe(token)
    expect(next.data?.expire).toBe(30)
  })

  it('gives each application a token of its own', () => {
    const other = { appKey: 'key-2', appSecret: 'secret-2' }
    const gateway = service({ applications: [keys, other] })
    expect(tokenOf(get(gateway))).not.toBe(tokenOf(get(gateway, other)))
  })

  it('answers business edge-iam in the edge edition', () => {
    expect(get(service({ edition: 'edge' })).business).toBe('edge-iam')
  })
})

describe('refresh', () => {
  it('answers another token of full lifetime', async () => {
    const gateway = service({ lifetimeSeconds: 30 })
    const old = tokenOf(get(gateway))
    await clock.advance(20_000)
    const reply = refresh(gateway, old)
    expect(reply.data?.expire).toBe(30)
    expect(tokenOf(reply)).not.toBe(old)
    expect(tokenOf(get(gateway))).toBe(tokenOf(reply))
  })

  it('leaves the old token valid until that token expires', async () => {
    const gateway = service({ lifetimeSeconds: 30 })
    const old = tokenOf(get(gateway))
    await clock.advance(20_000)
    refresh(gateway, old)
    await clock.advance(9_999)
    expect(gateway.isValid(old)).toBe(true)
    await clock.advance(1)
    expect(gateway.isValid(old)).toBe(false)
  })

  it('invalidates the old token at once with doesRefreshKillOld', () => {
    const gateway = service({ doesRefreshKillOld: true })
    const old = tokenOf(get(gateway))
    const next = tokenOf(refresh(gateway, old))
    expect([gateway.isValid(old), gateway.isValid(next)]).toEqual([false, true])
    expect(gateway.expiresAt(old)).toBeUndefined()
  })

  it('prolongs the same token without doesRefreshChangeToken', async () => {
    const gateway = service({ lifetimeSeconds: 30, doesRefreshChangeToken: false, doesRefreshKillOld: true })
    const old = tokenOf(get(gateway))
    await clock.advance(20_000)
    expect(refresh(gateway, old).data).toEqual({ accessToken: old, expire: 30 })
    await clock.advance(29_999)
    expect(gateway.isValid(old)).toBe(true)
    await clock.advance(1)
    expect(gateway.isValid(old)).toBe(false)
  })

  it('answers HTTP 404 and a body without status when the gateway has no refresh', () => {
    const gateway = service({ hasRefresh: false })
    const reply = gateway.refresh(signed('key-1', 'secret-1', fresh(), tokenOf(get(gateway))))
    expect(reply.httpStatus).toBe(404)
    expect(reply.json).not.toHaveProperty('status')
  })

  it.each([
    ['http405', { httpStatus: 405, json: { error: 'Method Not Allowed' } }],
    ['status404', { httpStatus: 200, json: { status: 404, error: 'Not Found' } }],
    ['http404', { httpStatus: 404, json: { error: 'Not Found' } }],
  ] as const)('answers a refresh by missingRefresh %s, and get still works', (missingRefresh, expected) => {
    const gateway = service({ missingRefresh })
    const token = tokenOf(get(gateway))
    expect(gateway.refresh(signed('key-1', 'secret-1', fresh(), token))).toEqual(expected)
    expect(gateway.hasRefresh).toBe(false)
  })

  it('answers the same token with its unchanged expiry without doesRefreshProlong', async () => {
    const gateway = service({ lifetimeSeconds: 30, doesRefreshProlong: false })
    const old = tokenOf(get(gateway))
    await clock.advance(20_000)
    expect(refresh(gateway, old).data).toEqual({ accessToken: old, expire: 10 })
    await clock.advance(10_000)
    expect(refresh(gateway, old).status).toBe(1203)
  })

  it('refuses an expired token with 1203', async () => {
    const gateway = service({ lifetimeSeconds: 30 })
    const old = tokenOf(get(gateway))
    await clock.advance(30_000)
    expect(refresh(gateway, old).status).toBe(1203)
  })

  it('refuses an unknown token with 1203', () => {
    expect(refresh(service(), 'APP_PORTAL_S_made-up').status).toBe(1203)
  })

  it('refuses a valid token that a refresh has replaced with 1204', () => {
    const gateway = service()
    const old = tokenOf(get(gateway))
    const next = tokenOf(refresh(gateway, old))
    expect(refresh(gateway, old).status).toBe(1204)
    expect(gateway.currentToken('key-1')).toBe(next)
  })

  it('refuses the token of another application with 1204, and that token stays valid', () => {
    const other = { appKey: 'key-2', appSecret: 'secret-2' }
    const gateway = service({ applications: [keys, other], doesRefreshKillOld: true })
    const theirs = tokenOf(get(gateway, other))
    expect(refresh(gateway, theirs).status).toBe(1204)
    expect(gateway.isValid(theirs)).toBe(true)
  })
})

describe('an application', () => {
  it('accepts a rotated appSecret at once, refuses the old one, and keeps its token', () => {
    const gateway = service()
    const token = tokenOf(get(gateway))
    gateway.setAppSecret('key-1', 'rotated')
    expect(get(gateway).status).toBe(1003)
    expect(tokenOf(get(gateway, { appKey: 'key-1', appSecret: 'rotated' }))).toBe(token)
  })

  it('loses all its tokens and no others when revoked', () => {
    const other = { appKey: 'key-2', appSecret: 'secret-2' }
    const gateway = service({ applications: [keys, other] })
    const theirs = tokenOf(get(gateway, other))
    const old = tokenOf(get(gateway))
    const current = tokenOf(refresh(gateway, old))
    gateway.revoke('key-1')
    expect([old, current, theirs].map((token) => gateway.isValid(token))).toEqual([false, false, true])
    expect(tokenOf(get(gateway))).not.toBe(current)
  })

  it('can be added and removed', () => {
    const gateway = service({ applications: [] })
    expect(get(gateway).status).toBe(1002)
    gateway.addApplication(keys)
    const token = tokenOf(get(gateway))
    gateway.removeApplication('key-1')
    expect(get(gateway).status).toBe(1002)
    expect(gateway.isValid(token)).toBe(false)
  })

  it('is added at its first rightly signed call where any appKey is accepted', () => {
    const gateway = service({ applications: [], appSecretOf: (appKey) => `secret-of-${appKey}` })
    expect(get(gateway, { appKey: 'any', appSecret: 'wrong' }).status).toBe(1003)
    expect(gateway.appKeys()).toEqual([])
    const any = { appKey: 'any', appSecret: 'secret-of-any' }
    expect(tokenOf(get(gateway, any))).toBe(tokenOf(get(gateway, any)))
    expect(gateway.appKeys()).toEqual(['any'])
  })

  it('is not added beyond maxApplications, neither by hand nor by a call', () => {
    const gateway = service({ maxApplications: 2, appSecretOf: (appKey) => `secret-of-${appKey}` })
    const any = (appKey: string): Envelope => get(gateway, { appKey, appSecret: `secret-of-${appKey}` })
    expect([any('a').status, any('b').status, any('a').status]).toEqual([0, 1005, 0])
    expect(() => {
      gateway.addApplication({ appKey: 'c', appSecret: 'x' })
    }).toThrow(RangeError)
    gateway.addApplication({ appKey: 'a', appSecret: 'rotated' })
    expect(gateway.appKeys()).toEqual(['key-1', 'a'])
    gateway.removeApplication('a')
    expect(any('b').status).toBe(0)
  })

  it('must exist to be changed', () => {
    expect(() => {
      service().revoke('unknown')
    }).toThrow(RangeError)
    expect(() => {
      service().setAppSecret('unknown', 'x')
    }).toThrow(RangeError)
  })
})

describe('the state that referees read', () => {
  it('has the expiry of a token, also after that expiry', async () => {
    const gateway = service({ lifetimeSeconds: 30 })
    const startedAt = clock.now()
    const token = tokenOf(get(gateway))
    await clock.advance(60_000)
    expect(gateway.expiresAt(token)).toBe(startedAt + 30_000)
    expect(gateway.isValid(token)).toBe(false)
    expect(gateway.currentToken('key-1')).toBeUndefined()
  })

  it('does not depend on steps of the wall clock', () => {
    const gateway = service({ lifetimeSeconds: 30 })
    const token = tokenOf(get(gateway))
    clock.stepWall(3_600_000)
    expect(gateway.isValid(token)).toBe(true)
  })

  it('holds at most maxTokens: expired ones are removed, and live ones are kept', async () => {
    const gateway = service({ lifetimeSeconds: 30, maxTokens: 3 })
    const first = tokenOf(get(gateway))
    await clock.advance(10_000)
    const second = tokenOf(refresh(gateway, first))
    const third = tokenOf(refresh(gateway, second))
    expect(refresh(gateway, third).status).toBe(1005)
    expect(tokenOf(get(gateway))).toBe(third)
    expect([first, second, third].map((token) => gateway.isValid(token))).toEqual([true, true, true])
    await clock.advance(20_000)
    const fourth = tokenOf(refresh(gateway, third))
    expect(gateway.expiresAt(first)).toBeUndefined()
    expect([second, third, fourth].map((token) => gateway.isValid(token))).toEqual([true, true, true])
  })

  it('removes expired tokens that are younger than a prolonged one', async () => {
    const other = { appKey: 'key-2', appSecret: 'secret-2' }
    const options = { applications: [keys, other], doesRefreshChangeToken: false, lifetimeSeconds: 30, maxTokens: 2 }
    const gateway = service(options)
    const prolonged = tokenOf(get(gateway))
    await clock.advance(10_000)
    const expired = tokenOf(get(gateway, other))
    await clock.advance(15_000)
    refresh(gateway, prolonged)
    await clock.advance(15_000)
    expect(get(gateway, other).status).toBe(0)
    expect([gateway.expiresAt(expired), gateway.isValid(prolonged)]).toEqual([undefined, true])
  })

  it('has no token that was never issued', () => {
    expect(service().isValid('made-up')).toBe(false)
    expect(service().expiresAt('made-up')).toBeUndefined()
  })
})
