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

describe('the life of a resource, plan by plan', () => {
  const waiting = applicationView({ token: undefined, renewalAtWall: undefined, lastRenewal: undefined })

  it.each<[string, ReturnType<typeof observed>, string[]]>([
    ['its sources are read', observed(), ['fetchSources']],
    ['it joins its application', joined({ membership: undefined, application: undefined }), ['join']],
    ['it says that it waits for the gateway', joined({ application: waiting }), ['patchStatus']],
    ['it waits', reported(joined({ application: waiting })), []],
    ['its target is written', joined(), ['createTarget']],
    ['it says that all is well', synced(), ['patchStatus']],
    ['nothing is left to do', reported(synced()), []],
  ])('%s', (_, one, kinds) => {
    expect(kindsOf(one)).toEqual(kinds)
  })
})

describe('a resource that is suspended', () => {
  const suspended = (input: ObservedInput = {}) =>
    synced({ ...input, credential: { ...input.credential, spec: { suspend: true } } })

  it('leaves its application: no calls', () => {
    expect(kindsOf(suspended())).toEqual(['leave'])
  })

  it.each<[string, ObservedInput]>([
    [
      'its target was altered',
      { targetMetas: new Map([['enos-token', metadata({ name: 'enos-token', resourceVersion: '99' })]]) },
    ],
    ['its target was deleted', { targetMetas: new Map([['enos-token', undefined]]) }],
    ['its source was changed', { sourceMetas: [metadata({ resourceVersion: '11' })] }],
    ['a renewal is asked for', { credential: { renewRequest: 'now' } }],
    ['there is a new token', { application: applicationView({ token: heldToken({ value: 'next' }) }) }],
  ])('writes nothing but its status when %s', (_, input) => {
    expect(kindsOf(suspended({ ...input, membership: undefined }))).toEqual(['patchStatus'])
  })

  it('stays Ready until its token expires, then not', () => {
    const one = suspended({ membership: undefined, application: undefined })
    expect(plan(one, now + hourMs - 1).actions).toMatchObject([
      { status: { conditions: [{ type: 'Ready', status: 'True', reason: 'Suspended' }, {}] } },
    ])
    expect(plan(one, now + hourMs).actions).toMatchObject([
      { status: { conditions: [{ type: 'Ready', status: 'False', reason: 'TokenExpired' }, {}] } },
    ])
  })

  it('has no next renewal', () => {
    const one = suspended({
      membership: undefined,
      application: undefined,
      credential: { status: { nextRenewalAt: '2026-01-01T12:30:00Z' } },
    })
    const [action] = plan(one, now).actions
    expect(action?.do === 'patchStatus' ? action.status : {}).not.toHaveProperty('nextRenewalAt')
  })
})

describe('a gateway that is not allowed', () => {
  it('is told, by host and nothing else; nothing is read', () => {
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

  it('is left at once when it was allowed before', () => {
    expect(kindsOf(synced({ isGatewayAllowed: false }))).toEqual(['leave'])
  })
})

describe('a change of gateway or appKey', () => {
  const moved = { credential: { spec: { gateway: { url: 'https://new.example.com' } } } }
  const gatewayUrl = 'https://new.example.com'

  it('leaves the old data, not Ready, until the new token is there', () => {
    const application = applicationView({ token: undefined })
    const one = synced({ ...moved, membership: membership({ gatewayUrl }), application })
    expect(plan(one, now).actions).toMatchObject([
      {
        do: 'patchStatus',
        status: { conditions: [{ type: 'Ready', status: 'False', reason: 'WaitingForToken' }, {}, {}] },
      },
    ])
  })

  it('is over when the new token is written', () => {
    const token = heldToken({ value: 'of the new gateway' })
    const one = synced({ ...moved, membership: membership({ gatewayUrl }), application: applicationView({ token }) })
    expect(plan(one, now).actions).toMatchObject([{ do: 'patchTarget', stamp: { token: { gatewayUrl } } }])
  })
})

describe('the status of a new resource', () => {
  const waiting = applicationView({ token: undefined, renewalAtWall: undefined, lastRenewal: undefined })

  it('is held back for a second, which is what a first sync takes', () => {
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

  it('is not held back when there is something to tell', () => {
    expect(kindsOf(joined({ application: failing(1), firstSeenAt: now }))).not.toEqual([])
    expect(kindsOf(observed({ sourceMetas: [undefined], firstSeenAt: now }))).toEqual(['patchStatus'])
    expect(kindsOf(synced({ firstSeenAt: now }))).toEqual(['patchStatus'])
  })
})

describe('the number of failures', () => {
  const known = reported(synced({ application: failing(1) }))
  const more = (failures: number) => ({ ...known, application: failing(failures), statusWrittenAt: now })

  it('is written at once when it is the first', () => {
    expect(kindsOf({ ...reported(synced()), application: failing(1), statusWrittenAt: now })).toEqual(['patchStatus'])
  })

  it('is written at most once a minute when nothing else is new', () => {
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

  it('is written at most once a minute when the details differ each time', () => {
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

  it('does not hold back another message when nothing was tried', () => {
    const detail = { ...failing(1), failure: { ...failure, message: 'timed out' } }
    expect(kindsOf({ ...more(1), application: detail })).toEqual(['patchStatus'])
  })

  it('is written at once when the reason is another one', () => {
    const other = { ...failing(2), failure: { ...failure, reason: 'GatewayError' } as const }
    expect(kindsOf({ ...more(2), application: other })).toEqual(['patchStatus'])
  })

  it('is written at once when it is nought again', () => {
    expect(kindsOf({ ...more(0), application: applicationView() })).toEqual(['patchStatus'])
  })
})

describe('consumers of the targets', () => {
  const immediate = { spec: { propagation: 'Immediate' } }
  const token = heldToken({ value: 'next' })
  const { fingerprint } = heldToken()
  const status = { tokenFingerprint: fingerprint, conditions: [condition('Propagated')] }
  const told = { ...immediate, status: { ...status, propagatedFingerprint: 'of an older one' } }
  const publishing = { fingerprint, generation: 1, outcome: undefined }

  it('are told of a token that is on all targets', () => {
    const written = now - 1000
    const one = synced({ credential: told })
    const meta = {
      ...metadata({ name: 'enos-token', resourceVersion: '20', controllerUid: 'uid-wind-farm' }),
      writtenAtWall: written,
    }
    expect(plan({ ...one, targetMetas: new Map([['enos-token', meta]]) }, now).actions).toEqual([
      { do: 'propagate', reason: 'NewToken', fingerprint, occasion: 'renewal', writtenAtWall: written },
    ])
  })

  it('are not told before all targets have it', () => {
    expect(kindsOf(synced({ credential: told, application: applicationView({ token }) }))).toEqual(['patchTarget'])
    const problem = { class: 'retry', reason: 'TargetWriteFailed', message: 'HTTP 500' } as const
    expect(kindsOf(synced({ credential: told, targetProblems: new Map([['enos-token', problem]]) }))).not.toContain(
      'propagate',
    )
  })

  describe('when one of several targets cannot be had', () => {
    const both = { ...told, spec: { ...immediate.spec, targets: [{ name: 'enos-token' }, { name: 'second' }] } }
    const base = synced({ credential: both })
    const [first] = base.record
    const record = new Map(first === undefined ? [] : [first])
    const withSecond = (meta: ReturnType<typeof metadata> | undefined, rest: ObservedInput = {}) =>
      synced({ credential: both, record, targetMetas: new Map([...base.targetMetas, ['second', meta]]), ...rest })

    it('are told of the token that the others hold', () => {
      const foreign = metadata({ name: 'second', uid: 'uid-of-somebody' })
      expect(plan(withSecond(foreign), now).actions).toMatchObject([{ do: 'propagate', fingerprint }])
    })

    it('are told once it is written, when it only takes another try', () => {
      const problem = { class: 'retry', reason: 'TargetWriteFailed', message: 'HTTP 500' } as const
      const failed = withSecond(undefined, { targetProblems: new Map([['second', problem]]) })
      expect(kindsOf(failed)).not.toContain('propagate')
    })
  })

  it('are told once', () => {
    expect(kindsOf(synced({ credential: told, propagation: publishing }))).toEqual(['patchStatus'])
  })

  it('are looked at for the first token, which is recorded at once', () => {
    const first = synced({ credential: immediate })
    expect(plan(first, now).actions).toMatchObject([{ do: 'propagate', fingerprint, occasion: 'firstToken' }])
    expect(plan({ ...first, propagation: publishing }, now).actions).toMatchObject([
      { do: 'patchStatus', status: { propagatedFingerprint: fingerprint } },
    ])
  })

  it('are looked at once for each spec, with the time of the token and not of the write', () => {
    const changed = { ...immediate, generation: 2, status: { ...status, propagatedFingerprint: fingerprint } }
    const one = synced({ credential: changed })
    const { issuedAtWall } = token
    expect(plan(one, now).actions).toEqual([
      { do: 'propagate', reason: 'SpecChanged', fingerprint, occasion: 'specChange', writtenAtWall: issuedAtWall },
    ])
    expect(kindsOf({ ...one, propagation: { ...publishing, generation: 2 } })).not.toContain('propagate')
    const before = synced({ credential: { ...changed, generation: 1 } })
    expect(kindsOf(before)).not.toContain('propagate')
  })

  it('are told after a crash in between: only what they were told is recorded', () => {
    const outcome = { status: 'True', reason: 'Propagated', message: 'all were told' } as const
    const before = plan(synced({ credential: told, propagation: publishing }), now).actions
    expect(before).toMatchObject([{ status: { propagatedFingerprint: 'of an older one' } }])
    const after = plan(synced({ credential: told, propagation: { fingerprint, generation: 1, outcome } }), now).actions
    expect(after).toMatchObject([{ status: { propagatedFingerprint: fingerprint } }])
  })

  it('are told nothing with propagation Kubelet', () => {
    expect(kindsOf(synced({ credential: { status: told.status } }))).toEqual(['patchStatus'])
  })
})
