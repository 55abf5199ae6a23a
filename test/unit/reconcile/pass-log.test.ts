import { describe, expect, it, onTestFinished } from 'vitest'
import { newState } from '../../../src/observe/credential-state.ts'
import { type ExecutedAction, newPass } from '../../../src/observe/pass.ts'
import type { Plan } from '../../../src/plan/actions.ts'
import { logDecision, logPass } from '../../../src/reconcile/pass-log.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'
import { credential, marker, now } from '../../support/builders.ts'
import { OperatorWorld } from './operator-world.ts'

interface Line {
  readonly level: string
  readonly msg: string
  readonly credential: string
  readonly actions: readonly ExecutedAction[]
}

const parse = (line: string): Line => JSON.parse(line) as Line

function linesOf(...executed: readonly ExecutedAction[]): Line[] {
  const lines: string[] = []
  const log = createLogger({
    level: 'trace',
    format: 'json',
    destination: { write: (line: string) => void lines.push(line) },
  })
  const of = credential()
  const pass = newPass(of, newState(of, now, 0))
  pass.executed.push(...executed)
  logPass(log, pass)
  return lines.map(parse)
}

const fetched: ExecutedAction = { action: 'fetchTarget', target: 'enos-token', reason: 'Drift', result: undefined }
const patched: ExecutedAction = { action: 'patchTarget', target: 'enos-token', reason: 'Drift', result: 'written' }
const reported: ExecutedAction = {
  action: 'patchStatus',
  target: undefined,
  reason: 'StatusChanged',
  result: 'written',
}

describe('logDecision', () => {
  it.each<[Pick<Plan, 'check' | 'reason' | 'actions'>, object]>([
    [
      {
        check: 'writeTargets',
        reason: 'NewToken',
        actions: [{ do: 'fetchTarget', reason: 'Drift', name: 'enos-token' }],
      },
      { msg: 'decided', check: 'writeTargets', reason: 'NewToken', actions: ['fetchTarget'] },
    ],
    [
      { check: 'stopWhenUpToDate', reason: 'UpToDate', actions: [] },
      { msg: 'pass ended', check: 'stopWhenUpToDate', reason: 'UpToDate', actions: [] },
    ],
  ])('logDecision names at level debug the check that decided, and the actions', (plan, expected) => {
    const lines: string[] = []
    const destination = { write: (line: string) => void lines.push(line) }
    const log = createLogger({ level: 'debug', format: 'json', destination })
    logDecision(log, 'plant-a/wind-farm', { ...plan, requeueAt: undefined })
    expect(lines.map(parse)).toEqual([
      expect.objectContaining({ level: 'debug', credential: 'plant-a/wind-farm', ...expected }),
    ])
  })
})

describe('logPass', () => {
  it('logPass logs nothing for a pass that executed nothing', () => {
    expect(linesOf()).toEqual([])
  })

  it('logPass logs one line at level info, with each action, for a pass that wrote a target', () => {
    expect(linesOf(fetched, patched, reported)).toEqual([
      expect.objectContaining({
        level: 'info',
        msg: 'reconciled',
        credential: 'plant-a/wind-farm',
        actions: [
          { action: 'fetchTarget', target: 'enos-token', reason: 'Drift' },
          { action: 'patchTarget', target: 'enos-token', reason: 'Drift', result: 'written' },
          { action: 'patchStatus', reason: 'StatusChanged', result: 'written' },
        ],
      }),
    ])
  })

  it.each(['deleted', 'stale', 'failed'])(
    'logPass logs at level info when the write of a target ended as %s',
    (result) => {
      expect(linesOf({ ...patched, result }).map(({ level }) => level)).toEqual(['info'])
    },
  )

  it.each<[string, ExecutedAction]>([
    ['read a target', fetched],
    ['wrote the status', reported],
  ])('logPass logs at level debug for a pass that only %s', (_, action) => {
    expect(linesOf(action).map(({ level }) => level)).toEqual(['debug'])
  })
})

describe('the log of an operator', () => {
  it('the log has one line for a pass of several iterations, none for a pass without actions, and no secret', async () => {
    const world = new OperatorWorld()
    onTestFinished(async () => {
      await world.operator?.kill()
    })
    world.addCredential('a')
    const operator = await world.start()
    const linesNow = (): string[] => operator.emitted.filter((one) => typeof one === 'string')
    const passesNow = (): Line[] =>
      linesNow()
        .map(parse)
        .filter(({ msg }) => msg === 'reconciled')
    expect(passesNow().map(({ actions, level }) => [level, ...actions.map(({ action }) => action)])).toEqual([
      ['info', 'fetchSources', 'join', 'createTarget', 'patchStatus'],
    ])

    operator.resync()
    await world.clock.advance(1000)
    expect(passesNow()).toHaveLength(1)

    world.changeSecret('a-token', { accessToken: 'forged' })
    await world.clock.advance(1000)
    expect(passesNow()[1]).toMatchObject({
      level: 'info',
      credential: 'plant-a/a',
      actions: [
        { action: 'fetchTarget', target: 'a-token', reason: 'Drift' },
        { action: 'patchTarget', target: 'a-token', reason: 'Drift', result: 'written' },
        { action: 'patchStatus', reason: 'StatusChanged', result: 'written' },
      ],
    })

    world.deleteSecret('app')
    await world.clock.advance(1000)
    expect(passesNow()[2]).toMatchObject({ level: 'debug', actions: [{ action: 'leave' }, { action: 'patchStatus' }] })
    const token = Buffer.from(world.secret('a-token')?.data?.['accessToken'] ?? '', 'base64').toString()
    expect(token).not.toBe('')
    for (const secret of [...Object.values(marker), token]) expect(linesNow().join('\n')).not.toContain(secret)
  })
})
