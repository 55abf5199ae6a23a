import { describe, expect, it, onTestFinished } from 'vitest'
import type { Condition } from '../../../src/api/v1alpha1/conditions.ts'
import { setCondition } from '../../../src/api/v1alpha1/conditions.ts'
import type { Reason } from '../../../src/api/v1alpha1/reasons.ts'
import { logEvent, logProblems } from '../../../src/reconcile/problem-log.ts'
import type { EventInput } from '../../../src/status/events.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'
import { credential, marker, now, status } from '../../support/builders.ts'
import type { MemoryOperator } from '../../support/memory-operator.ts'
import { OperatorWorld } from './operator-world.ts'

interface Line {
  readonly level: string
  readonly msg: string
  readonly credential: string
  readonly reason?: string
  readonly reasons?: string[]
  readonly detail?: string
}

type Short = readonly [type: string, status: 'True' | 'False' | 'Unknown', reason: Reason, message?: string]

function conditionsOf(shorts: readonly Short[]): readonly Condition[] {
  return shorts.reduce<readonly Condition[]>(
    (so, [type, value, reason, message = '']) =>
      setCondition(so, { type, status: value, reason, message, observedGeneration: 1 }, now),
    [],
  )
}

/** The lines for a credential that goes from one set of conditions to another. */
function linesOf(before: readonly Short[], after: readonly Short[]): Line[] {
  return changed(before, after).lines
}

function changed(
  before: readonly Short[],
  after: readonly Short[],
  logged: readonly string[] = [],
): { readonly lines: Line[]; readonly logged: readonly string[] } {
  const lines: Line[] = []
  const write = (line: string): void => void lines.push(JSON.parse(line) as Line)
  const log = createLogger({ level: 'trace', format: 'json', destination: { write } })
  const present = status({ conditions: [...conditionsOf(before)] })
  const stillLogged = logProblems(log, { ...credential(), status: present }, conditionsOf(after), logged)
  return { lines, logged: stillLogged }
}

const healthy: Short[] = [
  ['Ready', 'True', 'Synced'],
  ['RenewalHealthy', 'True', 'Synced'],
]
const conflict: Short[] = [
  ['Ready', 'False', 'TargetConflict', 'Secret a'],
  ['Stalled', 'True', 'TargetConflict', 'Secret a'],
]
const unreachable: Short[] = [
  ['Ready', 'True', 'Synced'],
  ['RenewalHealthy', 'False', 'GatewayUnreachable', 'connection refused'],
]

describe('logProblems', () => {
  it('logProblems logs a new problem once at level warn, though several conditions have it', () => {
    expect(linesOf(healthy, conflict)).toEqual([
      expect.objectContaining({
        level: 'warn',
        msg: 'problem found',
        credential: 'plant-a/wind-farm',
        reason: 'TargetConflict',
        detail: 'Secret a',
      }),
    ])
  })

  it('logProblems logs nothing for a problem that stays', () => {
    expect(linesOf(conflict, conflict)).toEqual([])
  })

  it('logProblems logs a problem that the user must solve again when its message changes', () => {
    const other = conflict.map(([type, value, reason]): Short => [type, value, reason, 'Secret b'])
    expect(linesOf(conflict, other).map(({ detail }) => detail)).toEqual(['Secret b'])
  })

  it('logProblems logs nothing when only the detail of a retried failure changes', () => {
    const timedOut: Short[] = [['RenewalHealthy', 'False', 'GatewayUnreachable', 'timeout']]
    expect(linesOf(unreachable, timedOut)).toEqual([])
  })

  it('logProblems logs each of several problems', () => {
    const lines = linesOf(healthy, [...unreachable, ['Stalled', 'True', 'TargetConflict']])
    expect(lines.map(({ reason }) => reason)).toEqual(['GatewayUnreachable', 'TargetConflict'])
  })

  it.each<[string, Short[]]>([
    ['a first sync', [['Ready', 'False', 'WaitingForToken']]],
    ['a suspension', [['Ready', 'False', 'Suspended']]],
  ])('logProblems logs nothing for %s', (_, after) => {
    expect(linesOf([], after)).toEqual([])
    expect(linesOf(after, healthy)).toEqual([])
  })

  it('logProblems logs one line at level info when no problem is left', () => {
    expect(linesOf(conflict, unreachable).map(({ level }) => level)).toEqual(['warn'])
    expect(linesOf(unreachable, healthy)).toEqual([
      expect.objectContaining({ level: 'info', msg: 'problems solved', reasons: ['GatewayUnreachable'] }),
    ])
  })

  const waiting: Short[] = [['RenewalHealthy', 'False', 'WaitingForToken']]

  it('logProblems names the problem that was solved, not the attempt that solved it', () => {
    let { logged } = changed(healthy, unreachable)
    logged = changed(unreachable, conflict, logged).logged
    logged = changed(conflict, waiting, logged).logged
    const last = changed(waiting, healthy, logged)
    expect(last.lines).toMatchObject([{ msg: 'problems solved', reasons: ['GatewayUnreachable', 'TargetConflict'] }])
    expect(last.logged).toEqual([])
  })

  it('logProblems names no problem that is solved after a restart and is not known any more', () => {
    expect(linesOf(waiting, healthy)[0]).not.toHaveProperty('reasons')
  })

  it('logProblems does not call a problem solved while the renewal waits or the resource is suspended', () => {
    expect(linesOf(unreachable, [['RenewalHealthy', 'False', 'WaitingForToken']])).toEqual([])
    expect(linesOf(unreachable, [['RenewalHealthy', 'Unknown', 'Suspended']])).toEqual([])
  })
})

describe('logEvent', () => {
  it.each([
    ['Warning', 'warn', 'problem found'],
    ['Normal', 'info', 'event emitted'],
  ] as const)('logEvent logs a %s event at level %s', (type, level, msg) => {
    const lines: Line[] = []
    const write = (line: string): void => void lines.push(JSON.parse(line) as Line)
    const log = createLogger({ level: 'trace', format: 'json', destination: { write } })
    logEvent(log, credential(), { type, reason: 'SourceTrimmed', action: 'ReadSources', note: 'trimmed' })
    expect(lines).toEqual([
      expect.objectContaining({
        level,
        msg,
        credential: 'plant-a/wind-farm',
        reason: 'SourceTrimmed',
        detail: 'trimmed',
      }),
    ])
  })
})

const problemLines = (operator: MemoryOperator): string[] =>
  operator.emitted
    .filter((one) => typeof one === 'string')
    .map((line) => JSON.parse(line) as Line)
    .filter(({ msg }) => msg.startsWith('problem'))
    .map(({ level, reason, reasons }) => `${level} ${reason ?? reasons?.join(' ') ?? ''}`)

describe('the log of an operator', () => {
  it.each<[string, (world: OperatorWorld) => void, (world: OperatorWorld) => void, string]>([
    [
      'SourceSecretNotFound',
      (world) => {
        world.deleteSecret('app')
      },
      (world) => {
        world.addSecret('app', { appKey: marker.appKey, appSecret: marker.appSecret })
      },
      'Renewed',
    ],
    [
      'TemplateError',
      (world) => {
        world.changeSpec('a', { targets: [{ name: 'a-token', data: { token: '{{ accesToken }}' } }] })
      },
      (world) => {
        world.changeSpec('a', { targets: [{ name: 'a-token', data: { token: '{{ accessToken }}' } }] })
      },
      'Synced',
    ],
    [
      'SourceKeyMissing',
      (world) => {
        world.changeSecret('app', { appSecret: '' })
      },
      (world) => {
        world.changeSecret('app', { appSecret: marker.appSecret })
      },
      'Renewed',
    ],
    [
      'TargetMissing',
      (world) => {
        world.changeSpec('a', { targets: [{ name: 'a-token' }, { name: 'other', creationPolicy: 'Merge' }] })
      },
      (world) => {
        world.addSecret('other', { theirs: 'x' })
      },
      'Synced',
    ],
    [
      'TargetWriteFailed',
      (world) => {
        world.refuse(({ name, verb }) => verb === 'create' && name === 'other')
        world.changeSpec('a', { targets: [{ name: 'a-token' }, { name: 'other' }] })
      },
      (world) => {
        world.refuse(undefined)
      },
      'Synced',
    ],
    [
      'TargetConflict',
      (world) => {
        world.addSecret('other', { theirs: 'x' })
        world.changeSpec('a', { targets: [{ name: 'a-token' }, { name: 'other' }] })
      },
      (world) => {
        world.deleteSecret('other')
      },
      'Synced',
    ],
  ])(
    'the log has one line for %s and one for its end, and the last event is Normal',
    async (reason, spoil, mend, last) => {
      const world = new OperatorWorld()
      onTestFinished(async () => {
        await world.operator?.kill()
      })
      world.addCredential('a')
      const operator = await world.start()
      expect(problemLines(operator)).toEqual([])
      spoil(world)
      await world.clock.advance(30 * 60_000)
      expect(problemLines(operator)).toEqual([`warn ${reason}`])
      mend(world)
      await world.clock.advance(15 * 60_000)
      expect(problemLines(operator)).toEqual([`warn ${reason}`, expect.stringMatching(/^info /)])
      const events = operator.emitted.filter((one): one is EventInput => typeof one !== 'string')
      expect(events.at(-1)).toMatchObject({ type: 'Normal', reason: last })
    },
  )
})

describe('an operator with a target of which no template uses the token', () => {
  const [forgotten, target] = [{ name: 'a-token', data: { key: '{{ appKey }}' } }, { name: 'b-token' }]

  const noToken =
    'spec.targets: no target holds the token: no template of Secret a-token uses accessToken; use {{ accessToken }} in one, or leave data out'
  const partly = '1 target holds a valid token; no template of Secret a-token uses accessToken'
  const note = 'spec.targets: no template of Secret a-token uses accessToken, so there is no token in it'

  it.each([
    ['False', [forgotten], noToken, noToken],
    ['True', [forgotten, target], partly, note],
  ])('Ready is %s with the targets %j, and the operator warns once', async (status, targets, message, warning) => {
    const world = new OperatorWorld()
    onTestFinished(async () => {
      await world.operator?.kill()
    })
    world.addCredential('a', { targets })
    const operator = await world.start()
    await world.clock.advance(5 * 3_600_000)
    expect(world.status('a').conditions.find(({ type }) => type === 'Ready')).toMatchObject({ status, message })
    expect(world.conditions('a')).toContain('RenewalHealthy=True')
    expect(world.conditions('a').includes('Stalled=True/TokenNotUsed')).toBe(status === 'False')
    expect(Object.keys(world.secret('a-token')?.data ?? {})).toEqual(['key'])
    expect(problemLines(operator)).toEqual(['warn TokenNotUsed'])
    const events = operator.emitted.filter((one): one is EventInput => typeof one !== 'string')
    expect(events.filter(({ reason }) => reason === 'TokenNotUsed')).toEqual([
      expect.objectContaining({ type: 'Warning', note: warning }),
    ])

    world.changeSpec('a', { targets: [{ name: 'a-token', data: { key: '{{ accessToken }}' } }] })
    await world.clock.advance(10_000)
    expect(world.status('a').conditions.find(({ type }) => type === 'Ready')?.message).toBe(
      '1 target holds a valid token',
    )
  })
})
