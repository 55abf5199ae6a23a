import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { CredentialStatus } from '../../../src/api/v1alpha1/status-schema.ts'
import { isSameStatus } from '../../../src/status/next-status.ts'

/** What is compared: the fields that are defined, with sorted lists and without `lastWrite`. */
function compared(status: CredentialStatus): unknown {
  const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1)
  return {
    ...Object.fromEntries(Object.entries(status).filter(([, value]) => value !== undefined)),
    conditions: status.conditions.toSorted((a, b) => (a.type < b.type ? -1 : 1)),
    sources: status.sources.toSorted(byName),
    targets: status.targets.map((target) => ({ ...target, lastWrite: undefined })).sort(byName),
  }
}

// Few values, so that statuses are often equal.
const text = fc.constantFrom('a', 'b')
const maybe = fc.constantFrom('a', undefined)
const names = fc.constantFrom('a', 'b', 'c')
const keys = fc.array(text, { maxLength: 2 })
const version = { name: names, uid: text, resourceVersion: fc.constantFrom('1', '1', '2') }
const condition = fc.record(
  {
    type: names,
    status: fc.constantFrom('True' as const, 'False' as const),
    reason: fc.constant('a'),
    message: text,
    observedGeneration: fc.constantFrom(0, undefined),
    lastTransitionTime: fc.constant('a'),
  },
  { noNullPrototype: true, requiredKeys: ['type', 'status', 'reason', 'message', 'lastTransitionTime'] },
)
const source = fc.record(
  { ...version, keys },
  { noNullPrototype: true, requiredKeys: ['name', 'uid', 'resourceVersion'] },
)
const target = fc.record(
  {
    ...version,
    creationPolicy: fc.constant('Owner' as const),
    deletionPolicy: fc.constant('Delete' as const),
    keys,
    lastWrite: fc.record({ reason: text, at: text }, { noNullPrototype: true }),
  },
  {
    noNullPrototype: true,
    requiredKeys: ['name', 'uid', 'resourceVersion', 'creationPolicy', 'deletionPolicy', 'keys'],
  },
)
const list = <E>(entry: fc.Arbitrary<E>): fc.Arbitrary<E[]> => fc.array(entry, { maxLength: 3 })
const status = fc.record(
  {
    conditions: list(condition),
    sources: list(source),
    targets: list(target),
    gateway: maybe,
    targetNames: maybe,
    consecutiveFailures: fc.constantFrom(0, undefined),
  },
  { noNullPrototype: true, requiredKeys: ['conditions', 'sources', 'targets'] },
) as fc.Arbitrary<CredentialStatus>

/** Small changes of a status. */
const changes: Readonly<Record<string, (one: CredentialStatus) => unknown>> = {
  reverseConditions: ({ conditions }) => conditions.reverse(),
  reverseSources: ({ sources }) => sources.reverse(),
  reverseTargets: ({ targets }) => targets.reverse(),
  dropTarget: ({ targets }) => targets.pop(),
  dropKey: ({ targets }) => targets[0]?.keys.pop(),
  dropKeys: ({ sources: [first] }) => delete first?.keys,
  unsetKeys: ({ sources: [first] }) => first && Object.assign(first, { keys: undefined }),
  dropGeneration: ({ conditions: [first] }) => delete first?.observedGeneration,
  negateGeneration: ({ conditions: [first] }) => first && Object.assign(first, { observedGeneration: -0 }),
  changeMessage: ({ conditions: [first] }) => first && Object.assign(first, { message: 'c' }),
  write: ({ targets: [first] }) => first && Object.assign(first, { lastWrite: { reason: 'c', at: 'c' } }),
  dropGateway: (one) => delete one.gateway,
  unsetGateway: (one) => Object.assign(one, { gateway: undefined }),
  changeTargetNames: (one) => Object.assign(one, { targetNames: 'c' }),
}
const pair = fc
  .tuple(status, fc.subarray(Object.values(changes), { maxLength: 3 }), fc.boolean())
  .map(([a, some, isSwapped]) => {
    const b = structuredClone(a)
    for (const change of some) change(b)
    return isSwapped ? ([b, a] as const) : ([a, b] as const)
  })

it('isSameStatus compares what is defined, in any order of lists, without lastWrite', () => {
  const seen = { same: 0, different: 0 }
  fc.assert(
    fc.property(pair, ([a, b]) => {
      const expected = isDeepStrictEqual(compared(a), compared(b))
      seen[expected ? 'same' : 'different']++
      expect(isSameStatus(a, b)).toBe(expected)
      expect(isSameStatus(b, a)).toBe(expected)
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1000) },
  )
  expect(Math.min(seen.same, seen.different)).toBeGreaterThan(20)
})
