import { describe, expect, it } from 'vitest'
import type { Problem } from '../../../src/api/v1alpha1/problem.ts'
import { type Reason, reasons } from '../../../src/api/v1alpha1/reasons.ts'
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
function conditionsOf(one: Observed, problem?: Problem, at = now): string {
  const { ready, reconciling, renewalHealthy, stalled } = assess(one, problem, at)
  const named = { Ready: ready, RenewalHealthy: renewalHealthy, Reconciling: reconciling, Stalled: stalled }
  return Object.entries(named)
    .flatMap(([type, verdict]) => (verdict === undefined ? [] : [`${type}=${verdict.status}/${verdict.reason}`]))
    .join(' ')
}

const healthy = 'RenewalHealthy=True/Synced'
const waiting = applicationView({ token: undefined, renewalAtWall: undefined })

describe('assess: Ready', () => {
  it.each<[string, Observed, string]>([
    ['Ready is True when the targets hold a valid token', synced(), `Ready=True/Synced ${healthy}`],
    [
      'Ready stays True while renewal fails',
      synced({ application: applicationView({ failure, failures: 3 }) }),
      'Ready=True/Synced RenewalHealthy=False/GatewayUnreachable',
    ],
    [
      'Ready stays True while the gateway refuses the appSecret',
      synced({ application: applicationView({ failure: refused }) }),
      'Ready=True/Synced RenewalHealthy=False/InvalidAppSecret Stalled=True/InvalidAppSecret',
    ],
    [
      'Ready stays True when the write of a new token failed and the token on the target is valid',
      synced({ targetProblems: new Map([['enos-token', writeFailure]]) }),
      `Ready=True/Synced ${healthy} Reconciling=True/TargetWriteFailed`,
    ],
    [
      'Ready is False before the first token',
      joined({ application: waiting }),
      'Ready=False/WaitingForToken RenewalHealthy=Unknown/WaitingForToken Reconciling=True/WaitingForToken',
    ],
    [
      'Ready is False, with the reason of the failure, while the first token cannot be had',
      joined({ application: { ...waiting, failure } }),
      'Ready=False/GatewayUnreachable RenewalHealthy=False/GatewayUnreachable Reconciling=True/GatewayUnreachable',
    ],
    [
      'Ready is False while the gateway refuses the appSecret before the first token',
      joined({ application: { ...waiting, failure: refused } }),
      'Ready=False/InvalidAppSecret RenewalHealthy=False/InvalidAppSecret Stalled=True/InvalidAppSecret',
    ],
    [
      'Ready is False while one of the targets is not written',
      oneOfTwo(),
      `Ready=False/WaitingForToken ${healthy} Reconciling=True/WaitingForToken`,
    ],
    [
      'Ready is False while a key that was added to the spec is not written',
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
      'Ready is False when a Secret of another owner has the name of a target',
      joined({ targetMetas: new Map([['enos-token', metadata({ name: 'enos-token' })]]) }),
      `Ready=False/TargetConflict ${healthy} Stalled=True/TargetConflict`,
    ],
    [
      'Ready is False when a target drifted and cannot be written',
      synced({
        targetMetas: new Map([['enos-token', ownTarget({ resourceVersion: '21' })]]),
        targetProblems: new Map([['enos-token', writeFailure]]),
      }),
      `Ready=False/TargetWriteFailed ${healthy} Reconciling=True/TargetWriteFailed`,
    ],
    [
      'Ready is False when the token on the targets is of another gateway',
      synced({ credential: { spec: { gateway: { url: 'https://new.example.com' } } }, application: waiting }),
      'Ready=False/WaitingForToken RenewalHealthy=Unknown/WaitingForToken Reconciling=True/WaitingForToken',
    ],
    [
      'Ready is True after a restart, before any attempt of this process',
      restarted(),
      'Ready=True/Synced RenewalHealthy=Unknown/WaitingForToken',
    ],
  ])('%s', (_, one, conditions) => {
    expect(conditionsOf(one)).toBe(conditions)
  })

  it('Ready turns False when the token expires, with the reason why it was not renewed', () => {
    const one = synced({ application: applicationView({ failure, failures: 9 }) })
    expect(assess(one, undefined, now + hourMs - 1).ready.status).toBe('True')
    expect(assess(one, undefined, now + hourMs).ready).toEqual({
      status: 'False',
      reason: 'TokenExpired',
      message: 'the token on the targets has expired: connection refused',
    })
    expect(conditionsOf(one, undefined, now + hourMs)).toContain('Reconciling=True/TokenExpired')
  })

  it('Ready turns False two seconds after the expiry with method Get, whose new token comes up to a second late', () => {
    const one = synced({ application: applicationView({ method: 'Get' }) })
    expect(assess(one, undefined, now + hourMs + 1999).ready.status).toBe('True')
    expect(assess(one, undefined, now + hourMs + 2000).ready).toMatchObject({
      reason: 'TokenExpired',
      message: 'the token on the targets has expired: the operator asks the gateway for a new one',
    })
  })

  describe('when the source Secret, or the key that the spec names, has changed', () => {
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
      ['Ready turns False when the appKey changed', of('another'), 'Ready=False/GatewayUnreachable'],
      ['Ready stays True when the appKey is the same', of(marker.appKey), 'Ready=True/Synced'],
      [
        'Ready stays True when the status records no fingerprint of the appKey',
        of('another', false),
        'Ready=True/Synced',
      ],
      [
        'Ready stays True while the sources were not read',
        { ...of('another'), sources: undefined },
        'Ready=True/Synced',
      ],
    ])('%s', (_, one, conditions) => {
      expect(conditionsOf(one)).toContain(conditions)
    })
  })

  it('Ready has the number of targets in its message', () => {
    const spec = { targets: [{ name: 'a' }, { name: 'b' }] }
    expect(assess(synced(), undefined, now).ready.message).toBe('1 target holds a valid token')
    expect(assess(synced({ credential: { spec } }), undefined, now).ready.message).toBe('2 targets hold a valid token')
  })
})

describe('assess: RenewalHealthy', () => {
  it('RenewalHealthy has the reason RefreshNotSupported when the gateway has no refresh', () => {
    const application = applicationView({ isRefreshMissing: true, method: 'Get' })
    expect(conditionsOf(synced({ application }))).toBe('Ready=True/Synced RenewalHealthy=True/RefreshNotSupported')
  })

  it('RenewalHealthy does not have the reason RefreshNotSupported with renewalMethod Get', () => {
    const application = applicationView({ isRefreshMissing: true, method: 'Get' })
    expect(conditionsOf(synced({ application, credential: { spec: { renewalMethod: 'Get' } } }))).toBe(
      `Ready=True/Synced ${healthy}`,
    )
  })

  it('RenewalHealthy has the reason RenewBeforeClamped when renewBefore is more than half of the lifetime', () => {
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

  it('RenewalHealthy stays True during a conflict of targets, when the token was renewed', () => {
    const one = joined({ targetMetas: new Map([['enos-token', metadata({ name: 'enos-token' })]]) })
    expect(assess(one, undefined, now).renewalHealthy.status).toBe('True')
  })

  it('RenewalHealthy is False with the problem that stopped the plan', () => {
    const problem = { class: 'userMustAct', reason: 'SourceSecretNotFound', message: 'there is none' } as const
    expect(conditionsOf(synced(), problem)).toBe(
      'Ready=True/Synced RenewalHealthy=False/SourceSecretNotFound Stalled=True/SourceSecretNotFound',
    )
  })
})

describe('assess: a suspended resource', () => {
  const suspended = (input: ObservedInput = {}) =>
    synced({ membership: undefined, application: undefined, ...input, credential: { spec: { suspend: true } } })
  const unknown = 'RenewalHealthy=Unknown/Suspended'

  it('a suspended resource has the reason Suspended, and neither Reconciling nor Stalled', () => {
    expect(conditionsOf(suspended())).toBe(`Ready=True/Suspended ${unknown}`)
    expect(conditionsOf(suspended({ record: new Map(), targetMetas: new Map() }))).toBe(
      `Ready=False/Suspended ${unknown}`,
    )
    expect(conditionsOf(suspended(), undefined, now + hourMs)).toBe(`Ready=False/TokenExpired ${unknown}`)
  })

  it.each<[string, ObservedInput, string]>([
    ['does not exist', { targetMetas: new Map([['enos-token', undefined]]) }, 'no longer holds the token'],
    [
      'holds another value',
      {
        targetMetas: new Map([['enos-token', ownTarget({ resourceVersion: '21' })]]),
        targetContents: new Map([['enos-token', secret({ accessToken: 'forged' })]]),
      },
      'no longer holds the token',
    ],
  ])('a suspended resource is not Ready when a target %s, which is not corrected', (_, input, what) => {
    expect(conditionsOf(suspended(input))).toBe(`Ready=False/Suspended ${unknown}`)
    expect(assess(suspended(input), undefined, now).ready.message).toBe(
      `spec.suspend is true: Secret enos-token ${what}, and the operator writes nothing`,
    )
  })

  it('a suspended resource is not Ready when one of its targets was never written', () => {
    const one = oneOfTwo()
    const of = { ...one, credential: { ...one.credential, spec: { ...one.credential.spec, suspend: true } } }
    expect(assess({ ...of, application: undefined }, undefined, now).ready).toMatchObject({
      status: 'False',
      reason: 'Suspended',
      message: 'spec.suspend is true: Secret second is not as the spec asks for, and the operator writes nothing',
    })
  })

  it('a suspended resource is Ready when another key of a target was changed', () => {
    const targetMetas = new Map([['enos-token', ownTarget({ resourceVersion: '21' })]])
    const targetContents = new Map([['enos-token', secret({ accessToken: marker.token, more: 'x' })]])
    expect(conditionsOf(suspended({ targetMetas, targetContents }))).toBe(`Ready=True/Suspended ${unknown}`)
  })

  it('a suspended resource is not Ready when the spec names another gateway, with a token that has not expired', () => {
    const one = suspended({ gatewayUrl: 'https://new.example.com' })
    expect(conditionsOf(one)).toBe(`Ready=False/Suspended ${unknown}`)
    expect(conditionsOf(one, undefined, now + hourMs)).toBe(`Ready=False/TokenExpired ${unknown}`)
  })
})

describe('assess: RenewalHealthy', () => {
  const all = Object.entries(reasons).map(([reason, { about }]) => ({ reason: reason as Reason, about }))
  const problemOf = (reason: Reason): Problem => ({ class: 'userMustAct', reason, message: 'a message' })
  const expected = { token: 'False', spec: 'Unknown', targets: 'True', consumers: 'True' } as const

  it.each(all)(
    'RenewalHealthy tells of a problem $reason, which is about $about, by its subject',
    ({ reason, about }) => {
      const { renewalHealthy } = assess(synced(), problemOf(reason), now)
      const isTold = about === 'token' || about === 'spec'
      expect(renewalHealthy).toMatchObject({ status: expected[about], reason: isTold ? reason : 'Synced' })
    },
  )

  it.each(all)('RenewalHealthy stays True while one of the targets has the problem $reason', ({ reason }) => {
    const one = synced({ targetProblems: new Map([['enos-token', problemOf(reason)]]) })
    expect(conditionsOf(one)).toBe(`Ready=True/Synced ${healthy} Stalled=True/${reason}`)
  })

  it('RenewalHealthy tells of the gateway when a target has a problem too', () => {
    const one = synced({
      application: applicationView({ failure }),
      targetProblems: new Map([['enos-token', writeFailure]]),
    })
    expect(conditionsOf(one)).toContain('RenewalHealthy=False/GatewayUnreachable')
  })
})

describe('assess: Stalled and Reconciling', () => {
  it.each<[string, Problem['class'], string]>([
    ['Stalled is', 'userMustAct', 'Stalled=True/TargetWriteFailed'],
    ['Reconciling is', 'retry', 'Reconciling=True/TargetWriteFailed'],
  ])('%s True for a removed target that cannot be deleted', (_, kind, expected) => {
    const problem = { ...writeFailure, class: kind } as const
    expect(conditionsOf(synced({ targetProblems: new Map([['removed', problem]]) }))).toBe(
      `Ready=True/Synced ${healthy} ${expected}`,
    )
  })

  it('Stalled and Reconciling are never present together', () => {
    const both = joined({
      application: { ...waiting, failure },
      targetMetas: new Map([['enos-token', metadata({ name: 'enos-token' })]]),
    })
    expect(conditionsOf(both)).toBe(
      'Ready=False/TargetConflict RenewalHealthy=False/GatewayUnreachable Stalled=True/TargetConflict',
    )
  })

  it('Reconciling, not Stalled, is True while a Secret of another owner does not exist', () => {
    const spec = { targets: [{ name: 'enos-token', creationPolicy: 'Merge' }] }
    expect(conditionsOf(joined({ credential: { spec } }))).toBe(
      `Ready=False/TargetMissing ${healthy} Reconciling=True/TargetMissing`,
    )
  })

  it('Reconciling is True before the first token', () => {
    expect(conditionsOf(observed())).toBe(
      'Ready=False/WaitingForToken RenewalHealthy=Unknown/WaitingForToken Reconciling=True/WaitingForToken',
    )
  })
})

describe('assess: messages', () => {
  it.each([
    ['AppKeyNotFound', 'spec.appKeyRef: key appKey of Secret enos-app: no'],
    ['InvalidAppSecret', 'spec.appSecretRef: key appSecret of Secret enos-app: no'],
    ['GatewayRejected', 'no'],
  ] as const)('the messages about %s name the key that holds a refused value', (reason, message) => {
    const refusal = { class: 'userMustAct', reason, message: 'no' } as const
    const { ready, renewalHealthy, stalled } = assess(
      joined({ application: applicationView({ token: undefined, failure: refusal }) }),
      undefined,
      now,
    )
    expect([ready, renewalHealthy, stalled].map((one) => one?.message)).toEqual([message, message, message])
  })

  it('messages contain neither the number of failures nor the time left, which would write the status again and again', () => {
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

describe('assess: Reconciling of a Ready resource', () => {
  const changed = (overrides: ObservedInput = {}) =>
    synced({
      record: new Map([['enos-token', targetRecord({ inputs: JSON.stringify({ generation: 0 }) })]]),
      ...overrides,
    })

  it('Reconciling is True while a target is not written for the present spec yet', () => {
    const { ready, reconciling } = assess(changed(), undefined, now)
    expect(ready.status).toBe('True')
    expect(reconciling).toEqual({
      status: 'True',
      reason: 'WaitingForToken',
      message: 'spec.targets: Secret enos-token is not written yet as the spec asks for',
    })
  })

  it('Reconciling has the reason of the failure that delays the write', () => {
    const application = applicationView({
      failure: { class: 'retry', reason: 'GatewayUnreachable', message: 'connection refused' },
    })
    expect(assess(changed({ application }), undefined, now).reconciling).toMatchObject({ reason: 'GatewayUnreachable' })
  })

  it('Reconciling is absent while suspended, and once the target is written for the present spec', () => {
    const suspended = changed({ credential: { spec: { suspend: true } } })
    expect(assess(suspended, undefined, now).reconciling).toBeUndefined()
    expect(assess(synced(), undefined, now).reconciling).toBeUndefined()
  })
})
