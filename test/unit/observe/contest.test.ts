import { describe, expect, it } from 'vitest'
import {
  type ChangedFields,
  type Contest,
  contestOfMissing,
  isContested,
  isWriterSettled,
  nextCorrectionAt,
  noteCorrection,
  otherWriterOf,
  stayedAt,
} from '../../../src/observe/contest.ts'
import { minuteMs, now, secret } from '../../support/builders.ts'

const interference = { isTokenLost: true, writer: 'kubectl' }
const noted = (before: Contest | undefined, at: number) => noteCorrection(before, 'f1', interference, at)

/** Times of the corrections, until `endAt`, of a target that another writer changes back at once. */
function correctionsUntil(endAt: number): number[] {
  const times: number[] = []
  let contest: Contest | undefined
  for (let at = now; at < endAt; at = Math.max(at, nextCorrectionAt(contest))) {
    contest = noted(contest, at)
    times.push(at - now)
  }
  return times
}

describe('noteCorrection', () => {
  it('noteCorrection allows three corrections at once, then waits 2 s, doubling to 5 min', () => {
    expect(correctionsUntil(now + 20 * minuteMs).map((ms) => ms / 1000)).toEqual([
      0, 0, 0, 2, 6, 14, 30, 62, 126, 254, 510, 810, 1110,
    ])
  })

  it('noteCorrection allows at most 15 corrections in the first 10 minutes of a contest', () => {
    expect(correctionsUntil(now + 10 * minuteMs).length).toBeLessThanOrEqual(15)
  })

  it('noteCorrection keeps at most three times, after any number of corrections', () => {
    let contest: Contest | undefined
    for (let n = 0; n < 1000; n++) contest = noted(contest, now + n)
    expect(contest?.correctedAt).toHaveLength(3)
  })

  it('noteCorrection begins no contest for corrections that are rarer than three a minute', () => {
    let contest: Contest | undefined
    for (let n = 0; n < 20; n++) {
      contest = noted(contest, now + n * 31_000)
      expect(isContested(contest, now + n * 31_000)).toBe(false)
      expect(nextCorrectionAt(contest)).toBe(Number.NEGATIVE_INFINITY)
    }
  })

  it('noteCorrection begins a new count when the last correction stayed for 10 minutes, which ends the contest', () => {
    const contest = noted(noted(noted(undefined, now), now), now)
    expect(isContested(contest, now + 10 * minuteMs - 1)).toBe(true)
    expect(isContested(contest, now + 10 * minuteMs)).toBe(false)
    expect(nextCorrectionAt(noted(contest, now + 10 * minuteMs))).toBe(Number.NEGATIVE_INFINITY)
  })

  it('stayedAt is 10 s after the correction', () => {
    expect(stayedAt(noted(undefined, now))).toBe(now + 10_000)
  })

  it('noteCorrection counts the creation of a missing target, and not its disappearance', () => {
    const missing = contestOfMissing('f1')
    expect(isContested(missing, now)).toBe(false)
    expect(noted(missing, now).correctedAt).toEqual([now])
  })
})

describe('the writer of a contest', () => {
  it('a known writer stays known when a later interference leaves no trace of it, until the contest is over', () => {
    const unknown = { isTokenLost: true, writer: undefined }
    const known = noted(undefined, now)
    const again = noteCorrection(known, 'f1', unknown, now + 1000)
    expect(again.writer).toBe('kubectl')
    expect(noteCorrection(again, 'f1', unknown, now + 12 * minuteMs).writer).toBeUndefined()
  })

  it('isWriterSettled is true for a known writer, and for one that has stayed unknown for several corrections', () => {
    expect(isWriterSettled(noted(undefined, now))).toBe(true)
    let contest: Contest | undefined
    const settled: boolean[] = []
    for (let at = now; settled.length < 6; at += 10_000) {
      contest = noteCorrection(contest, 'f1', { isTokenLost: true, writer: undefined }, at)
      settled.push(isWriterSettled(contest))
    }
    expect(settled).toEqual([false, false, false, false, true, true])
  })
})

describe('otherWriterOf', () => {
  const own = new Set(['enos-credential-operator'])
  const changes = (changed: Partial<ChangedFields> = {}): ChangedFields => {
    return { data: [], labels: [], annotations: [], ...changed }
  }
  const by = (...managers: [string, string][]) =>
    secret({}, { metadata: { managedFields: managers.map(([manager, time]) => ({ manager, time })) } })

  it('otherWriterOf names the field manager with the latest write, except the operator', () => {
    const times: [string, string][] = [
      ['kubectl', '2026-01-01T00:00:00Z'],
      ['argocd-controller', '2026-01-02T00:00:00Z'],
      ['enos-credential-operator', '2026-01-03T00:00:00Z'],
    ]
    expect(otherWriterOf(by(...times), changes(), own)).toBe('argocd-controller')
  })

  it.each([
    ['with spaces', 'kubectl and more'],
    ['with a line break', 'a\nb'],
    ['with markup', '<b>'],
    ['that is empty', ''],
  ])('otherWriterOf does not repeat a name %s', (_, manager) => {
    expect(otherWriterOf(by([manager, '2026-01-01T00:00:00Z']), changes(), own)).toBeUndefined()
  })

  it.each([
    ['a key', { data: ['accessToken'] }, { 'f:data': { 'f:accessToken': {} } }],
    ['a label', { labels: ['team'] }, { 'f:metadata': { 'f:labels': { 'f:team': {} } } }],
    ['an annotation', { annotations: ['note'] }, { 'f:metadata': { 'f:annotations': { 'f:note': {} } } }],
  ])(
    'otherWriterOf names the field manager that holds %s that was changed, and no later one',
    (_, changed, fieldsV1) => {
      const time = '2026-01-01T00:00:00Z'
      const managedFields = [
        { manager: 'first', time, fieldsV1: { 'f:data': { 'f:other': {} } } },
        { manager: 'changer', time, fieldsV1 },
        { manager: 'last', time: '2026-01-01T00:00:01Z', fieldsV1: { 'f:data': { 'f:other': {} } } },
      ]
      expect(otherWriterOf(secret({}, { metadata: { managedFields } }), changes(changed), own)).toBe('changer')
    },
  )

  it('otherWriterOf truncates a name to 64 characters', () => {
    expect(otherWriterOf(by(['m'.repeat(200), '2026-01-01T00:00:00Z']), changes(), own)).toHaveLength(64)
  })
})
