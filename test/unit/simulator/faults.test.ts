import { describe, expect, it } from 'vitest'
import { CallLog } from '../../../simulator/call-log.ts'
import { faultRuleSchema, Faults } from '../../../simulator/faults.ts'

const first = { kind: 'status', status: 1005 } as const
const second = { kind: 'reset' } as const

describe('Faults', () => {
  it('affect no call without rules', () => {
    expect(new Faults().take('get', 'key-1')).toBeUndefined()
  })

  it('apply the first rule that matches', () => {
    const faults = new Faults()
    faults.set([{ operation: 'refresh', fault: first }, { fault: second }])
    expect(faults.take('get', 'key-1')).toEqual(second)
    expect(faults.take('refresh', 'key-1')).toEqual(first)
  })

  it('apply only to the application that a rule names', () => {
    const faults = new Faults()
    faults.set([{ appKey: 'key-1', fault: first }])
    expect([faults.take('get', 'key-2'), faults.take('get', undefined)]).toEqual([undefined, undefined])
    expect(faults.take('get', 'key-1')).toEqual(first)
  })

  it('count down, then apply the next rule', () => {
    const faults = new Faults()
    faults.set([
      { count: 2, fault: first },
      { count: 1, fault: second },
    ])
    faults.take('get', 'key-1')
    expect(faults.rules()).toEqual([
      { count: 1, fault: first },
      { count: 1, fault: second },
    ])
    const rest = [1, 2, 3].map(() => faults.take('get', 'key-1'))
    expect(rest).toEqual([first, second, undefined])
    expect(faults.rules()).toEqual([])
  })

  it('do not count calls that do not match', () => {
    const faults = new Faults()
    faults.set([{ operation: 'refresh', count: 1, fault: first }])
    faults.take('get', 'key-1')
    expect(faults.take('refresh', 'key-1')).toEqual(first)
  })

  it('are at most 1,000 rules', () => {
    const faults = new Faults()
    const rules = Array.from({ length: 1001 }, () => ({ fault: first }))
    faults.set(rules.slice(1))
    expect(() => {
      faults.set(rules)
    }).toThrow(new RangeError('expected at most 1000 rules, seen 1001'))
    expect(faults.rules()).toHaveLength(1000)
  })

  it('start with full counts when set again', () => {
    const faults = new Faults()
    const rule = { count: 1, fault: first }
    faults.set([rule])
    faults.take('get', 'key-1')
    faults.set([rule])
    expect(faults.take('get', 'key-1')).toEqual(first)
  })
})

describe('faultRuleSchema', () => {
  it.each([
    { fault: { kind: 'unknown' } },
    { fault: { kind: 'status' } },
    { fault: { kind: 'slow', delayMs: -1 } },
    { fault: { kind: 'http', status: 99 } },
    { fault: { kind: 'json', json: {}, status: 100 } },
    { fault: { kind: 'compress', encoding: 'zip' } },
    { fault: { kind: 'compress', encoding: 'gzip', bytes: 1e12 } },
    { fault: { kind: 'reset' }, count: 0 },
    { fault: { kind: 'reset' }, operation: 'post' },
    { fault: { kind: 'reset' }, typo: 1 },
  ])('rejects $fault with count $count and operation $operation', (rule) => {
    expect(faultRuleSchema.safeParse(rule).success).toBe(false)
  })
})

describe('CallLog', () => {
  it('keeps the last calls up to its limit', () => {
    const log = new CallLog(3)
    for (let atMs = 1; atMs <= 20; atMs++) {
      log.add({
        operation: 'get',
        appKey: 'key-1',
        atMs,
        status: 0,
        httpStatus: 200,
        fingerprint: undefined,
        fault: undefined,
      })
      expect(log.size).toBe(Math.min(atMs, 3))
    }
    expect(log.list().map(({ atMs }) => atMs)).toEqual([18, 19, 20])
  })
})
