import { describe, expect, it } from 'vitest'
import { matchesSelector, parseLabelSelector } from '../../../src/config/label-selector.ts'

function matches(text: string, labels?: Record<string, string>): boolean {
  const selector = parseLabelSelector(text)
  if (selector === undefined) throw new Error(`${text} is no selector`)
  return matchesSelector(selector, labels)
}

describe('parseLabelSelector', () => {
  it.each([
    'a',
    '!a',
    '! a',
    'a=b',
    'a==b',
    'a!=b',
    ' a = b , c ',
    'a=',
    'a in (b)',
    'a in(b, c)',
    'a notin (b,)',
    'enos.io/shard=a',
    'a in (b,c),d notin (e,f),!g,h=i',
    `${'p'.repeat(253)}/${'n'.repeat(63)}=${'v'.repeat(63)}`,
  ])('"%s" is a selector', (text) => {
    expect(parseLabelSelector(text)?.text).toBe(text)
  })

  it.each([
    '',
    ',',
    'a=b,',
    ',a=b',
    '=b',
    'a=b=c',
    'a b',
    'a=b c',
    'a>1',
    '!a=b',
    '!a in (b)',
    'a in',
    'a in ()',
    'a in b',
    'a in (b',
    'a in b)',
    'a in (b,c))',
    'a in (b c)',
    'ain (b)',
    'a IN (b)',
    '-a=b',
    'a=-b',
    'a=b/c',
    'a/b/c=d',
    '/a=b',
    'A.io/a=b',
    'a=ä',
    `${'n'.repeat(64)}=v`,
    `a=${'v'.repeat(64)}`,
    `${'p'.repeat(254)}/n=v`,
  ])('"%s" is no selector', (text) => {
    expect(parseLabelSelector(text)).toBeUndefined()
  })
})

describe('matchesSelector', () => {
  it.each([
    ['a', true, true, false, false],
    ['!a', false, false, true, true],
    ['a=b', true, false, false, false],
    ['a==b', true, false, false, false],
    ['a!=b', false, true, true, true],
    ['a in (b,d)', true, false, false, false],
    ['a notin (b,d)', false, true, true, true],
    ['a,a!=b', false, true, false, false],
    ['a=', false, false, false, false],
    ['toString', false, false, false, false],
  ])('%s selects as the API server does', (text, b, c, other, none) => {
    expect(matches(text, { a: 'b' })).toBe(b)
    expect(matches(text, { a: 'c' })).toBe(c)
    expect(matches(text, { x: 'b' })).toBe(other)
    expect(matches(text)).toBe(none)
  })
})
