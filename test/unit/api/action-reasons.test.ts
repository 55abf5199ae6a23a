import { readdirSync, readFileSync } from 'node:fs'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { otherActionReasons, writeReasons } from '../../../src/api/v1alpha1/action-reasons.ts'
import { reasons } from '../../../src/api/v1alpha1/reasons.ts'

const src = new URL('../../../src/', import.meta.url)
/** The plan takes the reasons of a comparison over from compare-secret.ts. */
const files = [
  ...readdirSync(new URL('plan/', src))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `plan/${name}`),
  'targets/compare-secret.ts',
]

/** The string literals of an expression that can be its value. */
function valuesOf(node: ts.Expression): string[] {
  if (ts.isStringLiteral(node)) return [node.text]
  if (ts.isConditionalExpression(node)) return [...valuesOf(node.whenTrue), ...valuesOf(node.whenFalse)]
  if (ts.isAsExpression(node) || ts.isParenthesizedExpression(node)) return valuesOf(node.expression)
  return []
}

/** Literals in values, not in types, and among them those that a property `reason` gets directly. */
function literalsOf(file: string): { all: string[]; direct: string[] } {
  const all: string[] = []
  const direct: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isLiteralTypeNode(node)) return
    if (ts.isStringLiteral(node)) all.push(node.text)
    if (ts.isPropertyAssignment(node) && node.name.getText() === 'reason') direct.push(...valuesOf(node.initializer))
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, readFileSync(new URL(file, src), 'utf8'), ts.ScriptTarget.Latest, true))
  return { all, direct }
}

const literals = files.map(literalsOf)
const listed = Object.keys({ ...writeReasons, ...otherActionReasons })

describe('the list of action reasons', () => {
  it.each(listed)('has %s, which the plan uses', (reason) => {
    expect(literals.some(({ all }) => all.includes(reason))).toBe(true)
  })

  it('has each reason that the plan gives an action, except those of conditions and events', () => {
    const used = new Set(literals.flatMap(({ direct }) => direct))
    expect(used.size).toBeGreaterThan(20)
    expect([...used].filter((reason) => !listed.includes(reason) && !Object.hasOwn(reasons, reason))).toEqual([])
  })

  it('has no reason twice', () => {
    expect(new Set([...Object.keys(writeReasons), ...Object.keys(otherActionReasons)]).size).toBe(
      Object.keys(writeReasons).length + Object.keys(otherActionReasons).length,
    )
  })

  it('has no reason of a condition or an event', () => {
    expect(listed.filter((reason) => Object.hasOwn(reasons, reason))).toEqual([])
  })
})
