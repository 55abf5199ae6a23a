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

describe('the token service', () => {
  it('refuses a repeated request with 1001', () => {
    const gateway = service()
    const body = signed('key-1', 'secret-1', fresh())
    expect([envelope(gateway.get(body)).status, envelope(gateway.get(body)).status]).toEqual([0, 1001])
  })

  it('refuses a refresh with the timestamp of a get with 1001: their encryption is the same', () => {
    const gateway = service()
    const at = fresh()
    const token = tokenOf(envelope(gateway.get(signed('key-1', 'secret-1', at))))
    expect(envelope(gateway.refresh(signed('key-1', 'secret-1', at, token))).status).toBe(1001)
    expect(gateway.currentToken('key-1')).toBe(token)
  })

  it('accepts the same timestamp from two applications', () => {
    const other = { appKey: 'key-2', appSecret: 'secret-2' }
    const gateway = service({ applications: [keys, other] })
    const at = fresh()
    const statuses = [keys, other].map((one) => envelope(gateway.get(signed(one.appKey, one.appSecret, at))).status)
    expect(statuses).toEqual([0, 0])
  })

  it('removes the oldest request from the replay set at the limit', () => {
    const gateway = service({ maxReplayEntries: 2 })
    const bodies = [1, 2, 3].map(() => signed('key-1', 'secret-1', fresh()))
    for (const body of bodies) gateway.get(body)
    const statuses = [bodies[2], bodies[1], bodies[0]].map((body) => envelope(gateway.get(body)).status)
    expect(statuses).toEqual([1001, 1001, 0])
  })

  it('refuses an unknown appKey with 1002', () => {
    expect(get(service(), { appKey: 'unknown', appSecret: 'secret-1' }).status).toBe(1002)
  })

  it('refuses a wrong appSecret with 1003', () => {
    expect(get(service(), { appKey: 'key-1', appSecret: 'wrong' }).status).toBe(1003)
  })

  it('refuses an encryption in upper case with 1003', () => {
    const body = signed('key-1', 'secret-1', fresh())
    const reply = service().get({ ...body, encryption: body.encryption.toUpperCase() })
    expect(envelope(reply).status).toBe(1003)
  })

  it('accepts the right signature after a wrong one with the same timestamp', () => {
    const gateway = service()
    const at = fresh()
    expect(envelope(gateway.get({ ...signed('key-1', 'secret-1', at), encryption: 'f00d' })).status).toBe(1003)
    expect(envelope(gateway.get(signed('key-1', 'secret-1', at))).status).toBe(0)
  })

  it.each([
    ['a body that is not JSON', undefined],
    ['a list', []],
    ['a string', 'appKey'],
    ['a timestamp that is not a whole number', { appKey: 'key-1', timestamp: 'now', encryption: 'x' }],
    ['a negative timestamp as a string', { appKey: 'key-1', timestamp: '-1', encryption: 'x' }],
    ['a timestamp with a fraction as a string', { appKey: 'key-1', timestamp: '1.5', encryption: 'x' }],
    ['a timestamp with spaces as a string', { appKey: 'key-1', timestamp: ' 1 ', encryption: 'x' }],
    ['a timestamp beyond all dates as a string', { appKey: 'key-1', timestamp: '9'.repeat(30), encryption: 'x' }],
    ['a timestamp that is a list', { appKey: 'key-1', timestamp: [1], encryption: 'x' }],
    ['a timestamp with a fraction', { appKey: 'key-1', timestamp: 1.5, encryption: 'x' }],
    ['an appKey that is a number', { appKey: 1, timestamp: 1, encryption: 'x' }],
    ['an encryption that is a list', { appKey: 'key-1', timestamp: 1, encryption: [] }],
  ])('refuses %s with 1004', (_, body) => {
    expect(envelope(service().get(body)).status).toBe(1004)
  })

  it('refuses an accessToken that is not a string with 1004', () => {
    expect(envelope(service().refresh({ ...signed('key-1', 'secret-1', fresh()), accessToken: 1 })).status).toBe(1004)
  })

  it.each(['appKey', 'timestamp', 'encryption', 'accessToken'])(
    'refuses an empty, null or missing %s with 1202',
    (name) => {
      const statuses = ['', null, undefined].map((value) => {
        const body = { ...signed('key-1', 'secret-1', fresh(), 'token'), [name]: value }
        return envelope(service().refresh(body)).status
      })
      expect(statuses).toEqual([1202, 1202, 1202])
    },
  )

  it('accepts a timestamp as a string, for get and for refresh', () => {
    const gateway = service()
    const first = envelope(gateway.get(signed('key-1', 'secret-1', String(fresh()))))
    expect(first.status).toBe(0)
    expect(envelope(gateway.refresh(signed('key-1', 'secret-1', String(fresh()), tokenOf(first)))).status).toBe(0)
  })

  it('verifies the encryption over the very string of the timestamp', () => {
    const gateway = service()
    const at = fresh()
    const padded = signed('key-1', 'secret-1', `0${at}`)
    expect(envelope(gateway.get({ ...padded, timestamp: String(at) })).status).toBe(1003)
    expect(envelope(gateway.get(padded)).status).toBe(0)
  })

  it('refuses a string with the timestamp of an earlier number with 1001', () => {
    const gateway = service()
    const at = fresh()
    const statuses = [at, String(at)].map((one) => envelope(gateway.get(signed('key-1', 'secret-1', one))).status)
    expect(statuses).toEqual([0, 1001])
  })

  it('checks a timestamp that is a string against the clock', () => {
    const statuses = [300_000, 300_001].map(
      (offMs) => envelope(service().get(signed('key-1', 'secret-1', String(clock.wall() - offMs)))).status,
    )
    expect(statuses).toEqual([0, 1004])
  })

  it('refuses a timestamp more than 5 minutes early or late with 1004', () => {
    const gateway = service()
    const statuses = [-300_001, -300_000, 300_000, 300_001].map(
      (offMs) => envelope(gateway.get(signed('key-1', 'secret-1', clock.wall() + offMs))).status,
    )
    expect(statuses).toEqual([1004, 0, 0, 1004])
  })

  it('checks timestamps against the clock of a gateway that is ahead', () => {
    const gateway = service({ clockOffsetMs: 600_000 })
    expect(envelope(gateway.get(signed('key-1', 'secret-1', clock.wall()))).status).toBe(1004)
    expect(envelope(gateway.get(signed('key-1', 'secret-1', clock.wall() + 600_000))).status).toBe(0)
  })

  it('accepts any timestamp with a window of 0', () => {
    expect(envelope(service({ maxSkewMs: 0 }).get(signed('key-1', 'secret-1', 1))).status).toBe(0)
  })
})
