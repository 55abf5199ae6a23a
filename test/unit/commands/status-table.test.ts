import { describe, expect, it } from 'vitest'
import { type CredentialObject, statusProblems } from '../../../src/commands/status-problems.ts'
import { renderStatus, statusRows } from '../../../src/commands/status-table.ts'
import { formatTime } from '../../../src/lib/time.ts'
import { condition, hourMs, minuteMs, now } from '../../support/builders.ts'

const at = (offsetMs: number): string => formatTime(now + offsetMs)

function object(name: string, status: object | undefined, spec: CredentialObject['spec'] = {}): CredentialObject {
  const named = { targets: [{ name: `${name}-token` }], ...spec }
  return { metadata: { namespace: 'plant-a', name }, spec: named, ...(status === undefined ? {} : { status }) }
}

const working = (expiresInMs: number, rest: object = {}): object => ({
  conditions: [condition('Ready'), condition('RenewalHealthy')],
  expiresAt: at(expiresInMs),
  issuedAt: at(-36 * minuteMs),
  nextRenewalAt: at(expiresInMs - 24 * minuteMs),
  lastRenewalAt: at(-36 * minuteMs),
  lastRenewalMethod: 'refresh',
  ...rest,
})
const failing = (reason: string, message: string): object => ({
  conditions: [condition('Ready', 'False', reason, message)],
})
const names = (objects: readonly CredentialObject[]): string[] => statusRows(objects, now).map(({ name }) => name)
const lines = (objects: readonly CredentialObject[]): string[] =>
  renderStatus(statusRows(objects, now), now).split('\n')

describe('statusRows', () => {
  it('sorts what is not ready first, then by expiry', () => {
    const objects = [
      object('later', working(2 * hourMs)),
      object('soon', working(5 * minuteMs)),
      object('over', working(-minuteMs)),
      object('unseen', undefined),
      object('failing', failing('AppKeyNotFound', 'no')),
    ]
    const expected = ['failing', 'unseen', 'over', 'soon', 'later']
    expect(names(objects)).toEqual(expected)
    expect(names(objects.toReversed())).toEqual(expected)
  })

  it('returns numbers and times for a resource', () => {
    expect(statusRows([object('wind-farm', working(84 * minuteMs))], now)).toEqual([
      {
        namespace: 'plant-a',
        name: 'wind-farm',
        ready: 'True',
        renewalHealthy: 'True',
        expiresInSeconds: 84 * 60,
        renewsInSeconds: 60 * 60,
        tokenAgeSeconds: 36 * 60,
        lastRenewalAt: at(-36 * minuteMs),
        lastRenewalMethod: 'refresh',
        targets: ['wind-farm-token'],
        targetsWithoutToken: [],
        reason: 'Synced',
        message: '',
        problems: [],
      },
    ])
  })

  it('shows the reason of RenewalHealthy while the token is valid', () => {
    const conditions = [condition('Ready'), condition('RenewalHealthy', 'False', 'GatewayError', 'HTTP 503')]
    const [row] = statusRows([object('wind-farm', working(hourMs, { conditions }))], now)
    expect(row).toMatchObject({ ready: 'True', renewalHealthy: 'False', reason: 'GatewayError', message: 'HTTP 503' })
  })

  const notPropagated = condition('Propagated', 'False', 'PropagationForbidden', 'may not patch pods')

  it('shows the reason of Propagated if Ready and RenewalHealthy are True', () => {
    const conditions = [condition('Ready'), condition('RenewalHealthy'), notPropagated]
    const [row] = statusRows([object('wind-farm', working(hourMs, { conditions }))], now)
    expect(row).toMatchObject({ ready: 'True', reason: 'PropagationForbidden', message: 'may not patch pods' })
  })

  it('shows no reason of Propagated beside a worse one, or if it is True', () => {
    const worse = [condition('Ready'), condition('RenewalHealthy', 'False', 'GatewayError', 'HTTP 503'), notPropagated]
    const well = [condition('Ready'), condition('RenewalHealthy'), condition('Propagated', 'True', 'Propagated', 'all')]
    const reasonsOf = (conditions: object[]) =>
      statusRows([object('wind-farm', working(hourMs, { conditions }))], now).map(({ reason }) => reason)
    expect([worse, well].flatMap(reasonsOf)).toEqual(['GatewayError', 'Synced'])
  })

  it('shows no next renewal while suspended', () => {
    const [row] = statusRows([object('wind-farm', working(hourMs), { suspend: true })], now)
    expect(row).toMatchObject({ expiresInSeconds: 3600, renewsInSeconds: null })
  })

  it.each([
    ['no template uses the token', { a: '{{ appKey }}', b: '{{ name }}' }, ['x']],
    ['a template uses the token', { a: '{{ appKey }}', b: '{{ accessToken | json }}' }, []],
    ['data is left out', undefined, []],
    ['data is not a map', 'x', []],
  ])('tells whether targets hold the token where %s', (_, data, expected) => {
    const spec = { targets: [{ name: 'x', ...(data === undefined ? {} : { data }) }, { name: 'y' }] }
    expect(statusRows([object('wind-farm', working(hourMs), spec)], now)[0]?.targetsWithoutToken).toEqual(expected)
  })

  it('treats an invalid status as none', () => {
    const [row] = statusRows([object('wind-farm', { conditions: 'x' })], now)
    expect(row).toMatchObject({
      ready: 'Unknown',
      renewalHealthy: 'Unknown',
      reason: 'NotReconciled',
      expiresInSeconds: null,
      lastRenewalAt: null,
    })
  })
})

describe('renderStatus', () => {
  it('prints a table, the problems and a summary', () => {
    expect(
      lines([
        object('wind-farm', working(84 * minuteMs), {
          targets: [{ name: 'a' }, { name: 'b', data: { x: '{{ name }}' } }],
        }),
        object('over', working(-minuteMs, { lastRenewalMethod: undefined })),
        object('solar', failing('AppKeyNotFound', 'the gateway does not know the appKey')),
      ]),
    ).toEqual([
      'NAMESPACE  NAME       READY  EXPIRES IN      RENEWS IN       TOKEN AGE  LAST RENEWAL        TARGETS         REASON',
      'plant-a    solar      False  -               -               -          -                   solar-token     AppKeyNotFound',
      'plant-a    over       False  expired 1m ago  overdue by 25m  36m        36m ago             over-token      TokenExpired,RenewalOverdue',
      'plant-a    wind-farm  True   1h24m           1h              36m        36m ago by refresh  a,b (no token)  Synced',
      '',
      'plant-a/solar: AppKeyNotFound: the gateway does not know the appKey',
      'plant-a/over: TokenExpired: the token expired 1m ago: is the operator running?',
      'plant-a/over: RenewalOverdue: the renewal is overdue by 25m',
      '',
      '1 of 3 ready, 1 expired',
      '',
    ])
  })

  it('shows no negative age if clocks differ', () => {
    const early = { issuedAt: at(5000), lastRenewalAt: at(5000) }
    expect(lines([object('wind-farm', working(hourMs, early))])[1]).toMatch(/ 0s +0s ago by refresh /)
  })

  it('replaces control characters in messages', () => {
    const text = lines([
      object('wind-farm', failing('TemplateError', 'a\u001b[2Jb\r\nplant-b/faked: all is well\u202e')),
    ])
    expect(text.join('\n')).not.toMatch(/[\u001b\r\u202e]/)
    expect(text).toContain('plant-a/wind-farm: TemplateError: a [2Jb plant-b/faked: all is well ')
  })
})

describe('statusProblems', () => {
  const problemsOf = (of: CredentialObject): string[] =>
    statusProblems(of, now).map(({ message, reason }) => `${reason}: ${message}`)
  const deleting = (offsetMs: number, finalizers: string[]): CredentialObject => {
    const one = object('wind-farm', working(hourMs))
    return { ...one, metadata: { ...one.metadata, deletionTimestamp: at(offsetMs), finalizers } }
  }

  it('finds none if all is well, and none for a renewal that is due now', () => {
    expect(problemsOf(object('wind-farm', working(hourMs)))).toEqual([])
    expect(problemsOf(object('wind-farm', working(hourMs, { nextRenewalAt: at(-10_000) })))).toEqual([])
  })

  it('asks whether the operator runs if a renewal is overdue', () => {
    expect(problemsOf(object('wind-farm', working(hourMs, { nextRenewalAt: at(-136_000) })))).toEqual([
      'RenewalOverdue: the renewal is overdue by 2m16s: is the operator running?',
    ])
  })

  it('names the failure and not the overdue renewal if renewals fail', () => {
    const conditions = [condition('Ready'), condition('RenewalHealthy', 'False', 'GatewayError', 'HTTP 503')]
    const status = working(hourMs, { conditions, nextRenewalAt: at(-136_000) })
    expect(problemsOf(object('wind-farm', status))).toEqual(['GatewayError: HTTP 503'])
  })

  it('names a template and not the overdue renewal if no token is asked for because of it', () => {
    const [status, reason, message] = ['Unknown', 'TemplateError', 'unknown variable accesToken'] as const
    const conditions = [condition('Ready'), condition('RenewalHealthy', status, reason, message)]
    const one = object('wind-farm', working(hourMs, { conditions, nextRenewalAt: at(-136_000) }))
    expect(problemsOf(one)).toEqual(['TemplateError: unknown variable accesToken'])
  })

  it('shows the write of a new token that is retried while the old one is valid', () => {
    const retried = condition('Reconciling', 'True', 'TargetWriteFailed', 'HTTP 500')
    const conditions = [condition('Ready'), condition('RenewalHealthy'), retried]
    expect(problemsOf(object('wind-farm', working(hourMs, { conditions })))).toEqual(['TargetWriteFailed: HTTP 500'])
  })

  it('shows the reasons of Ready and RenewalHealthy if they differ', () => {
    const conditions = [
      condition('Ready', 'False', 'TokenExpired', 'the token has expired'),
      condition('RenewalHealthy', 'False', 'GatewayUnreachable', 'connection refused'),
      condition('Stalled', 'True', 'GatewayUnreachable', 'connection refused'),
    ]
    expect(problemsOf(object('wind-farm', working(-hourMs, { conditions })))).toEqual([
      'TokenExpired: the token has expired',
      'GatewayUnreachable: connection refused',
    ])
  })

  it('finds no overdue renewal while suspended', () => {
    const conditions = [condition('Ready', 'True', 'Suspended', 'spec.suspend is true')]
    const status = working(hourMs, { conditions, nextRenewalAt: at(-hourMs) })
    expect(problemsOf(object('wind-farm', status, { suspend: true }))).toEqual([])
  })

  it('finds a spec that was not reconciled', () => {
    const one = object('wind-farm', working(hourMs, { observedGeneration: 2 }))
    expect(problemsOf({ ...one, metadata: { ...one.metadata, generation: 3 } })).toEqual([
      'NotReconciled: no operator has reconciled the change of the spec yet (generation 3): is the operator running?',
    ])
    expect(problemsOf({ ...one, metadata: { ...one.metadata, generation: 2 } })).toEqual([])
  })

  it('takes the generation of a deletion for no change of the spec', () => {
    const one = deleting(-5000, ['enos.io/merge-cleanup'])
    const status = working(hourMs, { observedGeneration: 2 })
    expect(problemsOf({ ...one, status, metadata: { ...one.metadata, generation: 3 } })).toEqual([
      'Deleting: deletion in progress for 5s, waiting for enos.io/merge-cleanup',
    ])
  })

  it('finds a deletion in progress, and what it waits for', () => {
    expect(problemsOf(deleting(-3 * minuteMs, []))).toEqual(['Deleting: deletion in progress for 3m'])
    expect(problemsOf(deleting(-3 * minuteMs, ['example.com/other']))).toEqual([
      'Deleting: deletion in progress for 3m, waiting for example.com/other',
    ])
    expect(problemsOf(deleting(-3 * minuteMs, ['enos.io/merge-cleanup']))).toEqual([
      'Deleting: deletion in progress for 3m, waiting for enos.io/merge-cleanup: is the operator running?',
    ])
    expect(problemsOf(deleting(-5000, ['enos.io/merge-cleanup']))).toEqual([
      'Deleting: deletion in progress for 5s, waiting for enos.io/merge-cleanup',
    ])
  })
})
