import { describe, expect, it } from 'vitest'
import { parseStatus } from '../../../src/api/v1alpha1/credential.ts'
import { plan } from '../../../src/plan/plan.ts'
import { invalidStatus, isSameStatus, nextStatus, statusPatch } from '../../../src/status/next-status.ts'
import {
  applicationView,
  condition,
  gatewayUrl,
  heldToken,
  hourMs,
  joined,
  marker,
  minuteMs,
  now,
  observed,
  reported,
  restarted,
  sources,
  sourceVersion,
  status,
  synced,
  targetRecord,
} from '../../support/builders.ts'

const failure = { class: 'retry', reason: 'GatewayUnreachable', message: 'connection refused' } as const
const failing = (failures = 1) => applicationView({ failure, failures })

function conditionOf(one: ReturnType<typeof status>, type: string) {
  return one.conditions.find((candidate) => candidate.type === type)
}

describe('nextStatus of a synced resource', () => {
  it('the status has each field that a restart needs or a user reads', () => {
    const { fingerprint } = heldToken()
    const { conditions, ...rest } = nextStatus(synced(), undefined, now)
    expect(rest).toEqual({
      observedGeneration: 1,
      expiresAt: '2026-01-01T13:00:00Z',
      issuedAt: '2026-01-01T11:00:00Z',
      nextRenewalAt: '2026-01-01T12:30:00Z',
      lastRenewalAt: '2026-01-01T11:00:00Z',
      lastRenewalMethod: 'get',
      consecutiveFailures: 0,
      tokenFingerprint: fingerprint,
      gateway: gatewayUrl,
      appKeyFingerprint: expect.stringMatching(/^[0-9a-f]{12}$/) as unknown,
      sources: [sourceVersion()],
      targets: [
        {
          name: 'enos-token',
          uid: 'uid-enos-token',
          resourceVersion: '20',
          creationPolicy: 'Owner',
          deletionPolicy: 'Delete',
          keys: ['accessToken', 'expiresAt'],
        },
      ],
      targetNames: 'enos-token',
    })
    expect(conditions.map(({ type }) => type)).toEqual(['Ready', 'RenewalHealthy'])
  })

  it('the status is parsed as it was written', () => {
    const written = nextStatus(synced(), undefined, now)
    expect(parseStatus(JSON.parse(JSON.stringify(written)))).toEqual(written)
  })

  it('the status leaves a restarted process nothing to do', () => {
    const { credential } = reported(synced())
    expect(plan(restarted({ credential: { ...credential, spec: {} } }), now).actions).toEqual([])
  })

  it('the status is the same at any later time while nothing changes', () => {
    const one = reported(synced())
    const later = nextStatus(one, undefined, now + 30 * minuteMs)
    expect(isSameStatus(one.credential.status, later)).toBe(true)
    expect(statusPatch(one.credential.status, later)).toEqual({})
  })

  it('the status has times of the wall clock, not of the monotonic clock', () => {
    const one = observed({ wallOffset: hourMs })
    expect(conditionOf(nextStatus(one, undefined, now), 'Ready')?.lastTransitionTime).toBe('2026-01-01T13:00:00Z')
  })
})

describe('nextStatus: lastTransitionTime', () => {
  const before = '2026-01-01T12:00:00Z'
  const later = now + 10 * minuteMs

  it('lastTransitionTime stays when only the reason and the message of the condition change', () => {
    const waiting = joined({ application: applicationView({ token: undefined }) })
    const next = nextStatus({ ...reported(waiting), application: { ...failing(), token: undefined } }, undefined, later)
    expect(conditionOf(next, 'Ready')).toMatchObject({ reason: 'GatewayUnreachable', lastTransitionTime: before })
  })

  it('lastTransitionTime stays when only the generation changes', () => {
    const one = reported(synced())
    const next = nextStatus({ ...one, credential: { ...one.credential, generation: 2 } }, undefined, later)
    expect(conditionOf(next, 'Ready')).toMatchObject({ observedGeneration: 2, lastTransitionTime: before })
  })

  it('lastTransitionTime changes with the status of the condition, and for that condition alone', () => {
    const next = nextStatus({ ...reported(synced()), application: failing() }, undefined, later)
    expect(conditionOf(next, 'RenewalHealthy')).toMatchObject({
      status: 'False',
      lastTransitionTime: '2026-01-01T12:10:00Z',
    })
    expect(conditionOf(next, 'Ready')).toMatchObject({ status: 'True', lastTransitionTime: before })
  })
})

describe('nextStatus: conditions', () => {
  it('the conditions include Reconciling and Stalled only while they are True', () => {
    const waiting = reported(joined({ application: applicationView({ token: undefined }) }))
    expect(conditionOf(waiting.credential.status, 'Reconciling')?.status).toBe('True')
    const { conditions } = nextStatus({ ...synced(), credential: waiting.credential }, undefined, now)
    expect(conditions.map(({ type }) => type)).toEqual(['Ready', 'RenewalHealthy'])
  })

  it('conditions of other controllers are kept unchanged', () => {
    const one = synced({ credential: { status: { conditions: [condition('example.com/Checked')] } } })
    expect(conditionOf(nextStatus(one, undefined, now), 'example.com/Checked')).toEqual(
      condition('example.com/Checked'),
    )
  })

  it('the conditions include Propagated only for a spec with propagation Immediate', () => {
    const outcome = { status: 'True', reason: 'Propagated', message: 'all were notified' } as const
    const propagation = { fingerprint: heldToken().fingerprint, generation: 1, outcome }
    const written = reported(synced({ credential: { spec: { propagation: 'Immediate' } }, propagation }))
    expect(conditionOf(written.credential.status, 'Propagated')).toMatchObject(outcome)
    expect(
      conditionOf(
        nextStatus(
          { ...synced(), credential: { ...written.credential, spec: synced().credential.spec } },
          undefined,
          now,
        ),
        'Propagated',
      ),
    ).toBeUndefined()
  })
})

describe('nextStatus: Propagated', () => {
  const spec = { propagation: 'Immediate' }
  const outcome = { status: 'True', reason: 'Propagated', message: 'nothing to do' } as const
  const propagation = { fingerprint: heldToken().fingerprint, generation: 1, isSilent: true, outcome }
  const after = (conditions: ReturnType<typeof condition>[]) =>
    conditionOf(
      nextStatus(synced({ credential: { spec, status: { conditions } }, propagation }), undefined, now),
      'Propagated',
    )

  it('Propagated is not added for a propagation that had nothing to do', () => {
    expect(after([])).toBeUndefined()
  })

  it('Propagated is corrected by a propagation that had nothing to do', () => {
    expect(after([condition('Propagated', 'False', 'WorkloadNotFound')])).toMatchObject(outcome)
  })
})

describe('nextStatus: recorded state', () => {
  it('the status keeps the last renewal and the number of failures while the resource has not joined its application', () => {
    const one = restarted({
      credential: {
        status: { lastRenewalAt: '2026-01-01T10:00:00Z', lastRenewalMethod: 'refresh', consecutiveFailures: 4 },
      },
    })
    expect(nextStatus(one, undefined, now)).toMatchObject({
      lastRenewalAt: '2026-01-01T10:00:00Z',
      lastRenewalMethod: 'refresh',
      consecutiveFailures: 4,
      nextRenewalAt: '2026-01-01T12:30:00Z',
    })
  })

  it('the status has the versions of the sources that the token on the targets was received with', () => {
    const changed = [sourceVersion('11')]
    const sources = { ...joined().sources, versions: changed, values: joined().sources?.values, trimmed: [] }
    const values = sources.values
    if (values === undefined) throw new Error('no values')
    const unproven = {
      ...restarted(),
      sources: { ...sources, values, problem: undefined },
      application: applicationView({ token: undefined }),
    }
    expect(nextStatus(unproven, undefined, now).sources[0]?.resourceVersion).toBe('10')
    expect(nextStatus({ ...unproven, application: applicationView() }, undefined, now).sources).toEqual(changed)
  })

  it('the status does not have the versions of sources whose token is not on the targets yet', () => {
    const application = applicationView({ token: heldToken({ value: 'of the new source' }) })
    const versions = [sourceVersion('11')]
    const one = restarted({ sources: sources({ versions }), application })
    expect(nextStatus(one, undefined, now).sources[0]?.resourceVersion).toBe('10')
  })

  it('the status keeps the resourceVersion of a target that was written before the resource was suspended', () => {
    const suspended = synced({
      credential: { generation: 2, spec: { suspend: true } },
      record: new Map([['enos-token', targetRecord()]]),
      membership: undefined,
      application: undefined,
    })
    expect(nextStatus(suspended, undefined, now).targets).toMatchObject([{ resourceVersion: '20' }])
  })

  it('the status has no resourceVersion for a target that a restart has to read', () => {
    const older = targetRecord({ inputs: JSON.stringify({ generation: 0 }) })
    const next = nextStatus(synced({ record: new Map([['enos-token', older]]) }), undefined, now)
    expect(next.targets).toMatchObject([{ uid: 'uid-enos-token', resourceVersion: '' }])
  })

  it('the status has the token that some targets hold, when others hold none', () => {
    const credential = { spec: { targets: [{ name: 'enos-token' }, { name: 'second' }] } }
    const [first] = synced({ credential }).record
    const one = synced({ credential, record: new Map(first === undefined ? [] : [first]) })
    expect(nextStatus(one, undefined, now)).toMatchObject({
      expiresAt: '2026-01-01T13:00:00Z',
      tokenFingerprint: heldToken().fingerprint,
      gateway: gatewayUrl,
    })
  })

  it('the status has no field of a token while no target holds one', () => {
    const next = nextStatus(joined(), undefined, now)
    for (const key of ['expiresAt', 'issuedAt', 'tokenFingerprint', 'gateway']) expect(next).not.toHaveProperty(key)
  })

  it('the status has the fingerprint of the token, and no secret value', () => {
    const text = JSON.stringify(nextStatus(synced(), undefined, now))
    for (const value of Object.values(marker)) expect(text).not.toContain(value)
  })
})

describe('statusPatch and isSameStatus', () => {
  it('statusPatch has the changed fields, and null for removed ones', () => {
    const before = status({ observedGeneration: 1, expiresAt: '2026-01-01T13:00:00Z', consecutiveFailures: 1 })
    const after = status({ observedGeneration: 2, consecutiveFailures: 1 })
    expect(statusPatch(before, after)).toEqual({ observedGeneration: 2, expiresAt: null })
  })

  it.each([
    [
      'the order of conditions',
      { conditions: [condition('B'), condition('A')] },
      { conditions: [condition('A'), condition('B')] },
    ],
    ['an absent and an undefined field', { gateway: undefined }, {}],
  ])('isSameStatus ignores %s', (_, a, b) => {
    expect(isSameStatus(status(a), status(b))).toBe(true)
  })

  it('isSameStatus notices any other difference', () => {
    const one = synced()
    const base = nextStatus(one, undefined, now)
    for (const key of Object.keys(base)) {
      const without = Object.fromEntries(Object.entries(base).filter(([other]) => other !== key))
      expect(isSameStatus(base, status(without)), key).toBe(false)
    }
  })
})

describe('invalidStatus', () => {
  const present = nextStatus(synced(), undefined, now)
  const invalid = invalidStatus(present, 2, ['spec.gateway.url: expected a URL', 'spec.targets: at least 1'], now)

  it('invalidStatus names the problems of the spec in Ready and Stalled', () => {
    expect(invalid.conditions).toMatchObject([
      { type: 'Ready', status: 'False', reason: 'InvalidSpec', observedGeneration: 2 },
      { type: 'RenewalHealthy', status: 'Unknown', reason: 'InvalidSpec' },
      { type: 'Stalled', status: 'True', message: 'spec.gateway.url: expected a URL; spec.targets: at least 1' },
    ])
  })

  it('invalidStatus keeps the records of the targets, which the resource still owns', () => {
    expect(invalid.targets).toEqual(present.targets)
    expect(invalid.tokenFingerprint).toBe(present.tokenFingerprint)
  })
})
