import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { reuseEqual } from '../../../src/lib/reuse-equal.ts'

describe('reuseEqual', () => {
  it('answers a value that equals the new one, whatever the former one was', () => {
    const tree = fc.jsonValue({ maxDepth: 4 })
    fc.assert(
      fc.property(tree, tree, (former, value) => {
        expect(reuseEqual(structuredClone(former), structuredClone(value))).toStrictEqual(value)
      }),
    )
  })

  it('answers the former value itself when nothing has changed', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (former) => {
        expect(reuseEqual(former, structuredClone(former))).toBe(former)
      }),
    )
  })

  it('takes the parts that have not changed from the former value, which stays as it was', () => {
    const former = { spec: { targets: [{ name: 'a' }, { name: 'b' }] }, status: { at: 1, gone: undefined } }
    const next = reuseEqual(former, { spec: { targets: [{ name: 'a' }, { name: 'c' }] }, status: { at: 1 } })
    expect(next).toStrictEqual({ spec: { targets: [{ name: 'a' }, { name: 'c' }] }, status: { at: 1 } })
    expect(next.spec.targets[0]).toBe(former.spec.targets[0])
    expect(former).toStrictEqual({
      spec: { targets: [{ name: 'a' }, { name: 'b' }] },
      status: { at: 1, gone: undefined },
    })
  })

  it('tells a list from an object with the same fields, and undefined from an absent field', () => {
    expect(reuseEqual({ 0: 'a' }, ['a'])).toStrictEqual(['a'])
    expect(reuseEqual({ a: undefined }, { b: undefined })).toStrictEqual({ b: undefined })
  })
})
