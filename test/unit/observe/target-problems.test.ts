import { describe, expect, it } from 'vitest'
import type { Problem } from '../../../src/api/v1alpha1/problem.ts'
import { compileAll } from '../../../src/observe/credential-state.ts'
import { joinTargetProblems, targetProblem } from '../../../src/observe/target-problems.ts'
import { credential, joined, metadata, secret } from '../../support/builders.ts'

/** The joined problem of targets with these names, which all exist or do not. */
function joinedProblem(names: readonly string[], { isMerge = false, doExist = true } = {}): Problem | undefined {
  const targets = names.map((name) => ({ name, creationPolicy: isMerge ? 'Merge' : 'Owner' }))
  const metas = names.map((name) => [name, doExist ? metadata({ name, uid: `uid-${name}` }) : undefined] as const)
  const observed = joined({ credential: { spec: { targets } }, targetMetas: new Map(metas) })
  const problems = observed.credential.spec.targets.flatMap((target) => {
    const problem = targetProblem(observed, target)
    return problem === undefined ? [] : [[target.name, problem] as const]
  })
  return joinTargetProblems(new Map(problems))
}

describe('joinTargetProblems', () => {
  it('joinTargetProblems is undefined for no problem', () => {
    expect(joinTargetProblems(new Map())).toBeUndefined()
  })

  it('joinTargetProblems keeps the message of a single target', () => {
    expect(joinedProblem(['a'])?.message).toBe(
      'spec.targets: Secret a already exists and is not owned by this resource; to have it adopted (possible if its type is Opaque and it is not immutable), annotate it with enos.io/adopt: wind-farm; otherwise delete it, or name another target',
    )
  })

  it.each([
    [
      { immutable: true },
      'is immutable, and enos.io/adopt alone does not let the operator delete it; delete it, or name another target',
    ],
    [
      { type: 'example.com/key' },
      'has the type example.com/key, and enos.io/adopt alone does not let the operator delete it for the type Opaque; set the type of the target to example.com/key, delete the Secret, or name another target',
    ],
    [
      {},
      'already exists and is not owned by this resource; to have it adopted, annotate it with enos.io/adopt: wind-farm; otherwise delete it, or name another target',
    ],
  ])('targetProblem advises the annotation only where the known content %j lets it suffice', (content, text) => {
    const observed = joined({
      targetMetas: new Map([['enos-token', metadata({ name: 'enos-token', uid: 'uid-foreign' })]]),
      targetContents: new Map([['enos-token', secret({}, content)]]),
    })
    const [target] = observed.credential.spec.targets
    if (target === undefined) throw new Error('no target')
    expect(targetProblem(observed, target)?.message).toBe(`spec.targets: Secret enos-token ${text}`)
  })

  it('joinTargetProblems names all conflicting targets, with the advice once', () => {
    expect(joinedProblem(['a', 'b', 'c'])?.message).toBe(
      'spec.targets: Secrets a, b, c already exist and are not owned by this resource; to have them adopted (possible if their type is Opaque and they are not immutable), annotate them with enos.io/adopt: wind-farm; otherwise delete them, or name other targets',
    )
  })

  it('joinTargetProblems names five targets, and counts the others', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    expect(joinedProblem(names)?.message).toContain('Secrets a, b, c, d, e and 2 more already exist')
  })

  it('joinTargetProblems names all Secrets to merge into that do not exist', () => {
    expect(joinedProblem(['a', 'b'], { isMerge: true, doExist: false })?.message).toBe(
      'spec.targets: Secrets a, b (creationPolicy Merge) do not exist; create them, and the operator adds their keys',
    )
  })

  const of = (kind: Problem['class'], reason: Problem['reason'], message: string): Problem => {
    return { class: kind, reason, message: `spec.targets: ${message}` }
  }

  it('joinTargetProblems puts different sentences of one kind side by side, five at most', () => {
    const problems = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => {
      return [name, of('userMustAct', 'TargetConflict', `Secret ${name} is ${name.toUpperCase()}`)] as const
    })
    expect(joinTargetProblems(new Map(problems))).toEqual(
      of(
        'userMustAct',
        'TargetConflict',
        'Secret a is A; Secret b is B; Secret c is C; Secret d is D; Secret e is E and 1 more',
      ),
    )
  })

  it('joinTargetProblems prefers a problem that the user must solve, and leaves other kinds out', () => {
    const problems = new Map([
      ['a', of('retry', 'TargetWriteFailed', 'Secret a was not written: HTTP 500')],
      ['b', of('userMustAct', 'TargetConflict', 'Secret b is of another')],
      ['c', of('userMustAct', 'TargetWriteFailed', 'Secret c was not written: HTTP 403')],
    ])
    expect(joinTargetProblems(problems)).toEqual(problems.get('b'))
  })
})

describe('compileAll', () => {
  const problemOf = (...targets: readonly object[]): string | undefined =>
    compileAll(credential({ spec: { targets } })).templateProblem?.message

  it('compileAll names the broken templates of all targets in one problem, and the known variables once', () => {
    const broken = { data: { x: '{{ accesToken }}', y: '{{ nme }}', z: '{{ name' } }
    expect(problemOf({ name: 'a' }, { name: 'b', ...broken }, { name: 'c', data: { x: '{{ nme }}' } })).toBe(
      'spec.targets: Secret b: template of key x: unknown variable accesToken; Secret b: template of key y: unknown variable nme; Secret b: template of key z: the output {{ is not closed, expected }} (line 1, column 1); Secret c: template of key x: unknown variable nme; known variables: accessToken, appKey, appSecret, gatewayUrl, expiresAt, expiresAtUnix, issuedAt, name, namespace',
    )
  })

  it('compileAll names the filters that a template most likely needs after an unknown one', () => {
    expect(problemOf({ name: 'a', data: { x: '{{ accessToken | base64 }}', y: '{{ nme }}' } })).toMatch(
      /unknown filter base64 \(line 1, column 1\); .*; known variables: .*; known filters: append, base64_decode, base64_encode, .* and the others of LiquidJS, https:/,
    )
  })

  it('compileAll names five broken templates, and counts the others', () => {
    const data = Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((key) => [key, '{{ name']))
    expect(problemOf({ name: 'a', data })).toMatch(/^(?:.*; ){4}Secret a: template of key e: .* and 2 more$/)
  })
})
