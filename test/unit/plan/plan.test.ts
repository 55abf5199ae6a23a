import { describe, expect, it } from 'vitest'
import { plan } from '../../../src/plan/plan.ts'
import {
  applicationView,
  condition,
  heldToken,
  hourMs,
  joined,
  membership,
  metadata,
  minuteMs,
  now,
  observed,
  type ObservedInput,
  reported,
  synced,
} from '../../support/builders.ts'

const failure = { class: 'retry', reason: 'GatewayUnreachable', message: 'connection refused' } as const
const failing = (failures: number) => applicationView({ failure, failures })

function kindsOf(input: Parameters<typeof plan>[0], at = now): string[] {
  return plan(input, at).actions.map((action) => action.do)
}

describe('plan of a new resource', () => {
  const waiting = applicationView({ token: undefined, renewalAtWall: undefined, lastRenewal: undefined })

  it.each<[string, ReturnType<typeof observed>, string[]]>([
    ['a new resource first reads its sources', observed(), ['fetchSources']],
    [
      'a resource with sources joins its application',
      joined({ membership: undefined, application: undefined }),
      ['join'],
    ],
    [
      'a member without a token reports that it waits for the gateway',
      joined({ application: waiting }),
      ['patchStatus'],
    ],
    ['a member without a token waits after its report', reported(joined({ application: waiting })), []],
    ['a member with a token writes its target', joined(), ['createTarget']],
    ['a resource with a written target reports Ready', synced(), ['patchStatus']],
    ['a resource with a true status has nothing left to do', reported(synced()), []],
  ])('%s', (_, one, kinds) => {
    expect(kindsOf(one)).toEqual(kinds)
  })
})

describe('stopWhenSuspended', () => {
  const suspended = (input: ObservedInput = {}) =>
    synced({ ...input, credential: { ...input.credential, spec: { suspend: true } } })

  it('a suspended resource leaves its application, which ends its calls', () => {
    expect(kindsOf(suspended())).toEqual(['leave'])
  })

  it.each<[string, ObservedInput]>([
    [
      'its target drifted',
      { targetMetas: new Map([['enos-token', metadata({ name: 'enos-token', resourceVersion: '99' })]]) },
    ],
    ['its target was deleted', { targetMetas: new Map([['enos-token', undefined]]) }],
    ['its source changed', { sourceMetas: [metadata({ resourceVersion: '11' })] }],
    ['a renewal is requested', { credential: { renewRequest: 'now' } }],
    ['the application has a new token', { application: applicationView({ token: heldToken({ value: 'next' }) }) }],
  ])('a suspended resource writes only its status when %s', (_, input) => {
    expect(kindsOf(suspended({ ...input, membership: undefined }))).toEqual(['patchStatus'])
  })

  it('a suspended resource stays Ready until its token expires', () => {
    const one = suspended({ membership: undefined, application: undefined })
    expect(plan(one, now + hourMs - 1).actions).toMatchObject([
      { status: { conditions: [{ type: 'Ready', status: 'True', reason: 'Suspended' }, {}] } },
    ])
    expect(plan(one, now + hourMs).actions).toMatchObject([
      { status: { conditions: [{ type: 'Ready', status: 'False', reason: 'TokenExpired' }, {}] } },
    ])
  })

  it('a suspended resource has no nextRenewalAt', () => {
    const one = suspended({
      membership: undefined,
      application: undefined,
      credential: { status: { nextRenewalAt: '2026-01-01T12:30:00Z' } },
    })
    const [action] = plan(one, now).actions
    expect(action?.do === 'patchStatus' ? action.status : {}).not.toHaveProperty('nextRenewalAt')
  })
})

describe('rejectDisallowedGateway', () => {
  it('a disallowed gateway is reported by its host alone, before any read', () => {
    const url = 'https://internal.example.com:8443/secret/path'
    const one = observed({ isGatewayAllowed: false, credential: { spec: { gateway: { url } } } })
    expect(plan(one, now).actions).toMatchObject([
      {
        do: 'patchStatus',
        status: {
          conditions: [
            {
              type: 'Ready',
              status: 'False',
              reason: 'GatewayNotAllowed',
              message:
                'spec.gateway.url: internal.example.com:8443 is not among the gateways that this operator may call (--allowed-gateways)',
            },
            { type: 'RenewalHealthy', status: 'False' },
            { type: 'Stalled', status: 'True' },
          ],
        },
      },
    ])
  })

  it('a member leaves its application when the gateway is no longer allowed', () => {
    expect(kindsOf(synced({ isGatewayAllowed: false }))).toEqual(['leave'])
  })
})

describe('plan after a change of gateway or appKey', () => {
  const moved = { credential: { spec: { gateway: { url: 'https://new.example.com' } } } }
  const gatewayUrl = 'https://new.example.com'

  it('a change of gateway keeps the old token on the targets, with Ready False, until the new token exists', () => {
    const application = applicationView({ token: undefined })
    const one = synced({ ...moved, membership: membership({ gatewayUrl }), application })
    expect(plan(one, now).actions).toMatchObject([
      {
        do: 'patchStatus',
        status: { conditions: [{ type: 'Ready', status: 'False', reason: 'WaitingForToken' }, {}, {}] },
      },
    ])
  })

  it('a change of gateway ends with the write of the new token', () => {
    const token = heldToken({ value: 'of the new gateway' })
    const one = synced({ ...moved, membership: membership({ gatewayUrl }), application: applicationView({ token }) })
    expect(plan(one, now).actions).toMatchObject([{ do: 'patchTarget', stamp: { token: { gatewayUrl } } }])
  })
})

describe('writeStatus of a new resource', () => {
  const waiting = applicationView({ token: undefined, renewalAtWall: undefined, lastRenewal: undefined })

  it('the status of a new resource is held back for a second, the time of a first sync', () => {
    const one = joined({ application: waiting, firstSeenAt: now })
    expect(plan(one, now)).toEqual({ check: 'writeStatus', reason: 'QuietPeriod', actions: [], requeueAt: now + 1000 })
    expect(plan(one, now + 999)).toEqual({
      check: 'writeStatus',
      reason: 'QuietPeriod',
      actions: [],
      requeueAt: now + 1000,
    })
    expect(kindsOf(one, now + 1000)).toEqual(['patchStatus'])
  })

  it('the status of a new resource is not held back when it reports a failure', () => {
    expect(kindsOf(joined({ application: failing(1), firstSeenAt: now }))).not.toEqual([])
    expect(kindsOf(observed({ sourceMetas: [undefined], firstSeenAt: now }))).toEqual(['patchStatus'])
    expect(kindsOf(synced({ firstSeenAt: now }))).toEqual(['patchStatus'])
  })
})

describe('writeStatus: consecutiveFailures', () => {
  const known = reported(synced({ application: failing(1) }))
  const more = (failures: number) => ({ ...known, application: failing(failures), statusWrittenAt: now })

  it('the first failure is written at once', () => {
    expect(kindsOf({ ...reported(synced()), application: failing(1), statusWrittenAt: now })).toEqual(['patchStatus'])
  })

  it('a further failure is written at most once a minute when nothing else changes', () => {
    expect(plan(more(2), now)).toEqual({
      check: 'writeStatus',
      reason: 'QuietPeriod',
      actions: [],
      requeueAt: now + minuteMs,
    })
    expect(plan(more(9), now + minuteMs - 1)).toEqual({
      check: 'writeStatus',
      reason: 'QuietPeriod',
      actions: [],
      requeueAt: now + minuteMs,
    })
    expect(plan(more(9), now + minuteMs).actions).toMatchObject([
      { do: 'patchStatus', status: { consecutiveFailures: 9 } },
    ])
  })

  it('a further failure is written at most once a minute when only its message changes', () => {
    const detail = { ...failing(2), failure: { ...failure, message: 'timed out' } }
    const one = { ...more(2), application: detail }
    expect(plan(one, now)).toEqual({
      check: 'writeStatus',
      reason: 'QuietPeriod',
      actions: [],
      requeueAt: now + minuteMs,
    })
    expect(plan(one, now + minuteMs).actions).toMatchObject([
      { status: { conditions: [{}, { message: 'timed out' }] } },
    ])
  })

  it('another message without another attempt is written at once', () => {
    const detail = { ...failing(1), failure: { ...failure, message: 'timed out' } }
    expect(kindsOf({ ...more(1), application: detail })).toEqual(['patchStatus'])
  })

  it('a failure with another reason is written at once', () => {
    const other = { ...failing(2), failure: { ...failure, reason: 'GatewayError' } as const }
    expect(kindsOf({ ...more(2), application: other })).toEqual(['patchStatus'])
  })

  it('the end of the failures is written at once', () => {
    expect(kindsOf({ ...more(0), application: applicationView() })).toEqual(['patchStatus'])
  })
})

describe('propagateToken', () => {
  const immediate = { spec: { propagation: 'Immediate' } }
  const token = heldToken({ value: 'next' })
  const { fingerprint } = heldToken()
  const status = { tokenFingerprint: fingerprint, conditions: [condition('Propagated')] }
  const propagatedBefore = { ...immediate, status: { ...status, propagatedFingerprint: 'of an older one' } }
  const propagating = { fingerprint, generation: 1, outcome: undefined }

  it('a token on all targets is propagated', () => {
    const written = now - 1000
    const one = synced({ credential: propagatedBefore })
    const meta = {
      ...metadata({ name: 'enos-token', resourceVersion: '20', controllerUid: 'uid-wind-farm' }),
      writtenAtWall: written,
    }
    expect(plan({ ...one, targetMetas: new Map([['enos-token', meta]]) }, now).actions).toEqual([
      { do: 'propagate', reason: 'NewToken', fingerprint, occasion: 'renewal', writtenAtWall: written },
    ])
  })

  it('a token is not propagated before all targets hold it', () => {
    expect(kindsOf(synced({ credential: propagatedBefore, application: applicationView({ token }) }))).toEqual([
      'patchTarget',
    ])
    const problem = { class: 'retry', reason: 'TargetWriteFailed', message: 'HTTP 500' } as const
    expect(
      kindsOf(synced({ credential: propagatedBefore, targetProblems: new Map([['enos-token', problem]]) })),
    ).not.toContain('propagate')
  })

  describe('when one of several targets cannot be written', () => {
    const both = {
      ...propagatedBefore,
      spec: { ...immediate.spec, targets: [{ name: 'enos-token' }, { name: 'second' }] },
    }
    const base = synced({ credential: both })
    const [first] = base.record
    const record = new Map(first === undefined ? [] : [first])
    const withSecond = (meta: ReturnType<typeof metadata> | undefined, rest: ObservedInput = {}) =>
      synced({ credential: both, record, targetMetas: new Map([...base.targetMetas, ['second', meta]]), ...rest })

    it('the token on the other targets is propagated when the user must act', () => {
      const foreign = metadata({ name: 'second', uid: 'uid-of-another-owner' })
      expect(plan(withSecond(foreign), now).actions).toMatchObject([{ do: 'propagate', fingerprint }])
    })

    it('the token is not propagated while the write is retried', () => {
      const problem = { class: 'retry', reason: 'TargetWriteFailed', message: 'HTTP 500' } as const
      const failed = withSecond(undefined, { targetProblems: new Map([['second', problem]]) })
      expect(kindsOf(failed)).not.toContain('propagate')
    })
  })

  it('a token is propagated once', () => {
    expect(kindsOf(synced({ credential: propagatedBefore, propagation: propagating }))).toEqual(['patchStatus'])
  })

  it('the first token is propagated as such, and recorded at once', () => {
    const first = synced({ credential: immediate })
    expect(plan(first, now).actions).toMatchObject([{ do: 'propagate', fingerprint, occasion: 'firstToken' }])
    expect(plan({ ...first, propagation: propagating }, now).actions).toMatchObject([
      { do: 'patchStatus', status: { propagatedFingerprint: fingerprint } },
    ])
  })

  it('a changed spec is propagated once, with the time of the token and not of the write', () => {
    const changed = { ...immediate, generation: 2, status: { ...status, propagatedFingerprint: fingerprint } }
    const one = synced({ credential: changed })
    const { issuedAtWall } = token
    expect(plan(one, now).actions).toEqual([
      { do: 'propagate', reason: 'SpecChanged', fingerprint, occasion: 'specChange', writtenAtWall: issuedAtWall },
    ])
    expect(kindsOf({ ...one, propagation: { ...propagating, generation: 2 } })).not.toContain('propagate')
    const before = synced({ credential: { ...changed, generation: 1 } })
    expect(kindsOf(before)).not.toContain('propagate')
  })

  it('a propagation is recorded only once it has ended, so that a restart repeats it', () => {
    const outcome = { status: 'True', reason: 'Propagated', message: 'all were notified' } as const
    const before = plan(synced({ credential: propagatedBefore, propagation: propagating }), now).actions
    expect(before).toMatchObject([{ status: { propagatedFingerprint: 'of an older one' } }])
    const after = plan(
      synced({ credential: propagatedBefore, propagation: { fingerprint, generation: 1, outcome } }),
      now,
    ).actions
    expect(after).toMatchObject([{ status: { propagatedFingerprint: fingerprint } }])
  })

  it('a token is not propagated with propagation Kubelet', () => {
    expect(kindsOf(synced({ credential: { status: propagatedBefore.status } }))).toEqual(['patchStatus'])
  })
})
