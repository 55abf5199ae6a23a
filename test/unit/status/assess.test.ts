import { describe, expect, it } from 'vitest'
import type { Problem } from '../../../src/api/v1alpha1/problem.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import type { Observed } from '../../../src/observe/observed.ts'
import { assess } from '../../../src/status/assess.ts'
import {
  appKeyFingerprint,
  applicationView,
  heldToken,
  hourMs,
  joined,
  marker,
  metadata,
  now,
  observed,
  type ObservedInput,
  ownTarget,
  restarted,
  secret,
  sources,
  synced,
  targetRecord,
} from '../../support/builders.ts'

const failure = { class: 'retry', reason: 'GatewayUnreachable', message: 'connection refused' } as const
const refused = { class: 'userMustAct', reason: 'InvalidAppSecret', message: 'the gateway refuses (1003)' } as const
const writeFailure = { class: 'retry', reason: 'TargetWriteFailed', message: 'HTTP 500' } as const

/** The conditions in short: `Ready=True/Synced RenewalHealthy=…`. */
function told(one: Observed, problem?: Problem, at = now): string {
  const { ready, reconciling, renewalHealthy, stalled } = assess(one, problem, at)
  const named = { Ready: ready, RenewalHealthy: renewalHealthy, Reconciling: reconciling, Stalled: stalled }
  return Object.entries(named)
    .flatMap(([type, verdict]) => (verdict === undefined ? [] : [`${type}=${verdict.status}/${verdict.reason}`]))
    .join(' ')
}

const healthy = 'RenewalHealthy=True/Synced'
const waiting = applicationView({ token: undefined, renewalAtWall: undefined })

describe('Ready: every target holds a token that is valid now', () => {
  it.each<[string, Observed, string]>([
    ['is True when all is well', synced(), `Ready=True/Synced ${healthy}`],
    [
      'stays True while renewal fails',
      synced({ application: applicationView({ failure, failures: 3 }) }),
      'Ready=True/Synced RenewalHealthy=False/GatewayUnreachable',
    ],
    [
      'stays True while the gateway refuses the appSecret',
      synced({ application: applicationView({ failure: refused }) }),
      'Ready=True/Synced RenewalHealthy=False/InvalidAppSecret Stalled=True/InvalidAppSecret',
    ],
    [
      'stays True when a renewal could not be written: the token that is there is valid',
      synced({ targetProblems: new Map([['enos-token', writeFailure]]) }),
      'Ready=True/Synced RenewalHealthy=False/TargetWriteFailed',
    ],
    [
      'is False before the first token',
      joined({ application: waiting }),
      'Ready=False/WaitingForToken RenewalHealthy=Unknown/WaitingForToken Reconciling=True/WaitingForToken',
    ],
    [
      'is False, with the reason, while there is no first token',
      joined({ application: { ...waiting, failure } }),
      'Ready=False/GatewayUnreachable RenewalHealthy=False/GatewayUnreachable Reconciling=True/GatewayUnreachable',
    ],
    [
      'is False when only the user can bring the first token',
      joined({ application: { ...waiting, failure: refused } }),
      'Ready=False/InvalidAppSecret RenewalHealthy=False/InvalidAppSecret Stalled=True/InvalidAppSecret',
    ],
    [
      'is False while one of the targets is not written',
      oneOfTwo(),
      `Ready=False/WaitingForToken ${healthy} Reconciling=True/WaitingForToken`,
    ],
    [
      'is False while a key that the spec has now is not written: the sources are broken, say',
      synced({
        credential: {
          generation: 2,
          spec: { targets: [{ name: 'enos-token', data: { other: '{{ accessToken }}' } }] },
        },
        record: new Map([['enos-token', targetRecord()]]),
        application: { ...waiting, failure },
      }),
      'Ready=False/GatewayUnreachable RenewalHealthy=False/GatewayUnreachable Reconciling=True/GatewayUnreachable',
    ],
    [
      'is False when somebody holds the name of a target',
      joined({ targetMetas: new Map([['enos-token', metadata({ name: 'enos-token' })]]) }),
      `Ready=False/TargetConflict ${healthy} Stalled=True/TargetConflict`,
    ],
    [
      'is False when a target was altered and cannot be written',
      synced({
        targetMetas: new Map([['enos-token', ownTarget({ resourceVersion: '21' })]]),
        targetProblems: new Map([['enos-token', writeFailure]]),
      }),
      'Ready=False/TargetWriteFailed RenewalHealthy=False/TargetWriteFailed Reconciling=True/TargetWriteFailed',
    ],
    [
      'is False when the token is of another gateway',
      synced({ credential: { spec: { gateway: { url: 'https://new.example.com' } } }, application: waiting }),
      'Ready=False/WaitingForToken RenewalHealthy=Unknown/WaitingForToken Reconciling=True/WaitingForToken',
    ],
    [
      'is True after a restart, though no attempt was made',
      restarted(),
      'Ready=True/Synced RenewalHealthy=Unknown/WaitingForToken',
    ],
  ])('%s', (_, one, conditions) => {
    expect(told(one)).toBe(conditions)
  })

  it('falls the moment the token expires, and says why it was not renewed', () => {
    const one = synced({ application: applicationView({ failure, failures: 9 }) })
    expect(assess(one, undefined, now + hourMs - 1).ready.status).toBe('True')
    expect(assess(one, undefined, now + hourMs).ready).toEqual({
      status: 'False',
      reason: 'TokenExpired',
      message: 'the token on the targets has expired: connection refused',
    })
    expect(told(one, undefined, now + hourMs)).toContain('Reconciling=True/TokenExpired')
  })

  it('falls two seconds after that with method Get, where up to a second is inherent', () => {
    const one = synced({ application: applicationView({ method: 'Get' }) })
    expect(assess(one, undefined, now + hourMs + 1999).ready.status).toBe('True')
    expect(assess(one, undefined, now + hourMs + 2000).ready).toMatchObject({
      reason: 'TokenExpired',
      message: 'the token on the targets has expired: the operator asks the gateway for a new one',
    })
  })

  describe('when the source Secret, or what is named of it, has changed', () => {
    const of = (appKey: string, isRecorded = true) => {
      const [recorded = targetRecord()] = synced().record.values()
      const known = isRecorded ? appKeyFingerprint : undefined
      const token = recorded.token === undefined ? undefined : { ...recorded.token, appKeyFingerprint: known }
      const values = {
        appKey: new Sensitive(appKey),
        appSecret: new Sensitive('any'),
        ca: undefined,
        headers: new Map(),
      }
      return synced({
        record: new Map([['enos-token', { ...recorded, token }]]),
        sources: sources({ values }),
        application: { ...waiting, failure },
      })
    }

    it.each<[string, Observed, string]>([
      ['falls when the appKey is another one', of('another'), 'Ready=False/GatewayUnreachable'],
      ['stays when the appKey is the same', of(marker.appKey), 'Ready=True/Synced'],
      ['stays when the status does not say whose the token is', of('another', false), 'Ready=True/Synced'],
      ['stays while nobody has looked', { ...of('another'), sources: undefined }, 'Ready=True/Synced'],
    ])('%s', (_, one, conditions) => {
      expect(told(one)).toContain(conditions)
    })
  })

  it('counts the targets', () => {
    const spec = { targets: [{ name: 'a' }, { name: 'b' }] }
    expect(assess(synced(), undefined, now).ready.message).toBe('1 target holds a valid token')
    expect(assess(synced({ credential: { spec } }), undefined, now).ready.message).toBe('2 targets hold a valid token')
  })
})

describe('RenewalHealthy: the last attempt worked', () => {
  it('says that the gateway has no refresh', () => {
    const application = applicationView({ isRefreshMissing: true, method: 'Get' })
    expect(told(synced({ application }))).toBe('Ready=True/Synced RenewalHealthy=True/RefreshNotSupported')
  })

  it('says nothing of it to who asked for method Get', () => {
    const application = applicationView({ isRefreshMissing: true, method: 'Get' })
    expect(told(synced({ application, credential: { spec: { renewalMethod: 'Get' } } }))).toBe(
      `Ready=True/Synced ${healthy}`,
    )
  })

  it('says that renewBefore is more than half of the lifetime', () => {
    const one = synced({
      application: applicationView({ isClamped: true }),
      credential: { spec: { renewBefore: '90m' } },
    })
    expect(assess(one, undefined, now).renewalHealthy).toEqual({
      status: 'True',
      reason: 'RenewBeforeClamped',
      message: 'spec.renewBefore 90m is more than half of the lifetime of a token: half is used',
    })
  })

  it('is not touched by a conflict of targets: the token was renewed', () => {
    const one = joined({ targetMetas: new Map([['enos-token', metadata({ name: 'enos-token' })]]) })
    expect(assess(one, undefined, now).renewalHealthy.status).toBe('True')
  })

  it('is False with what stopped the plan', () => {
    const problem = { class: 'userMustAct', reason: 'SourceSecretNotFound', message: 'there is none' } as const
    expect(told(synced(), problem)).toBe(
      'Ready=True/Synced RenewalHealthy=False/SourceSecretNotFound Stalled=True/SourceSecretNotFound',
    )
  })
})

describe('a suspended resource', () => {
  const suspended = (input: ObservedInput = {}) =>
    synced({ membership: undefined, application: undefined, ...input, credential: { spec: { suspend: true } } })
  const unknown = 'RenewalHealthy=Unknown/Suspended'

  it('says so, and works on nothing', () => {
    expect(told(suspended())).toBe(`Ready=True/Suspended ${unknown}`)
    expect(told(suspended({ record: new Map(), targetMetas: new Map() }))).toBe(`Ready=False/Suspended ${unknown}`)
    expect(told(suspended(), undefined, now + hourMs)).toBe(`Ready=False/TokenExpired ${unknown}`)
  })

  it.each<[string, ObservedInput, string]>([
    ['is gone', { targetMetas: new Map([['enos-token', undefined]]) }, 'no longer holds the token'],
    [
      'holds something else',
      {
        targetMetas: new Map([['enos-token', ownTarget({ resourceVersion: '21' })]]),
        targetContents: new Map([['enos-token', secret({ accessToken: 'forged' })]]),
      },
      'no longer holds the token',
    ],
  ])('is not Ready when a target %s: it is not put right', (_, input, what) => {
    expect(told(suspended(input))).toBe(`Ready=False/Suspended ${unknown}`)
    expect(assess(suspended(input), undefined, now).ready.message).toBe(
      `spec.suspend is true: Secret enos-token ${what}, and the operator writes nothing`,
    )
  })

  it('is not Ready when one of the targets was never written', () => {
    const one = oneOfTwo()
    const of = { ...one, credential: { ...one.credential, spec: { ...one.credential.spec, suspend: true } } }
    expect(assess({ ...of, application: undefined }, undefined, now).ready).toMatchObject({
      status: 'False',
      reason: 'Suspended',
      message: 'spec.suspend is true: Secret second is not as the spec asks for, and the operator writes nothing',
    })
  })

  it('is Ready when something else was changed on a target', () => {
    const targetMetas = new Map([['enos-token', ownTarget({ resourceVersion: '21' })]])
    const targetContents = new Map([['enos-token', secret({ accessToken: marker.token, more: 'x' })]])
    expect(told(suspended({ targetMetas, targetContents }))).toBe(`Ready=True/Suspended ${unknown}`)
  })

  it('is not Ready at another gateway, though the token has not expired', () => {
    const one = suspended({ gatewayUrl: 'https://new.example.com' })
    expect(told(one)).toBe(`Ready=False/Suspended ${unknown}`)
    expect(told(one, undefined, now + hourMs)).toBe(`Ready=False/TokenExpired ${unknown}`)
  })
})

describe('Stalled and Reconciling', () => {
  it.each<[string, Problem['class'], string]>([
    ['calls for the user', 'userMustAct', 'Stalled=True/TargetWriteFailed'],
    ['is worked on', 'retry', 'Reconciling=True/TargetWriteFailed'],
  ])('tell of a target that left the spec and cannot be removed, when that %s', (_, kind, told_) => {
    const problem = { ...writeFailure, class: kind } as const
    expect(told(synced({ targetProblems: new Map([['former', problem]]) }))).toBe(
      `Ready=True/Synced ${healthy} ${told_}`,
    )
  })

  it('never stand together', () => {
    const both = joined({
      application: { ...waiting, failure },
      targetMetas: new Map([['enos-token', metadata({ name: 'enos-token' })]]),
    })
    expect(told(both)).toBe(
      'Ready=False/TargetConflict RenewalHealthy=False/GatewayUnreachable Stalled=True/TargetConflict',
    )
  })

  it('wait for a Secret that somebody else makes, without a call on the user to repair something', () => {
    const spec = { targets: [{ name: 'enos-token', creationPolicy: 'Merge' }] }
    expect(told(joined({ credential: { spec } }))).toBe(
      `Ready=False/TargetMissing ${healthy} Reconciling=True/TargetMissing`,
    )
  })

  it('give way when there is nothing known yet', () => {
    expect(told(observed())).toBe(
      'Ready=False/WaitingForToken RenewalHealthy=Unknown/WaitingForToken Reconciling=True/WaitingForToken',
    )
  })
})

describe('messages', () => {
  it('hold no count and no time left: they change only with the matter', () => {
    const at = (ms: number, failures: number) =>
      assess(synced({ application: applicationView({ failure, failures, token: heldToken() }) }), undefined, now + ms)
    expect(at(0, 1)).toEqual(at(30_000, 7))
  })
})

function oneOfTwo(): Observed {
  const credential = { spec: { targets: [{ name: 'enos-token' }, { name: 'second' }] } }
  const base = synced({ credential })
  const [first] = base.record
  return synced({ credential, record: new Map(first === undefined ? [] : [first]) })
}
