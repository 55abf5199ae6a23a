import { describe, expect, it } from 'vitest'
import { UsageError } from '../../../src/commands/errors.ts'
import { inNamespace, parseNamespace, parseResourceName } from '../../../src/commands/resource-ref.ts'

describe('parseResourceName', () => {
  it.each([
    ['wind-farm', undefined, undefined, 'wind-farm'],
    ['plant-a/wind-farm', undefined, 'plant-a', 'wind-farm'],
    ['wind.farm', 'plant-a', 'plant-a', 'wind.farm'],
    ['plant-a/wind-farm', 'plant-a', 'plant-a', 'wind-farm'],
    ['enosappcredential/wind-farm', undefined, undefined, 'wind-farm'],
    ['enosappcredentials/wind-farm', 'plant-a', 'plant-a', 'wind-farm'],
    ['eac/wind-farm', undefined, undefined, 'wind-farm'],
    ['EnosAppCredential/wind-farm', undefined, undefined, 'wind-farm'],
    ['enosappcredentials.enos.io/wind-farm', undefined, undefined, 'wind-farm'],
    ['enosappcredentials.v1alpha1.enos.io/wind-farm', undefined, undefined, 'wind-farm'],
    ['eac', undefined, undefined, 'eac'],
    ['secrets/wind-farm', undefined, 'secrets', 'wind-farm'],
  ])('parses %s with --namespace %s', (text, flag, namespace, name) => {
    expect(parseResourceName(text, flag)).toEqual({ namespace, name })
  })

  it.each([
    '',
    '/',
    'a/',
    '/b',
    'a/b/c',
    'eac/',
    'eac/a/b',
    'A',
    'a_b',
    'a b',
    '-a',
    'a-',
    '../x',
    'a.b/c',
    `${'n'.repeat(64)}/a`,
  ])('refuses %j', (text) => {
    expect(() => parseResourceName(text)).toThrow(UsageError)
  })

  it('quotes no URL, which may hold a password', () => {
    const url = 'https://user:marker-typed@apim.example.com'
    expect(() => parseResourceName(url)).toThrow(/^expected the name of an EnosAppCredential, not a URL$/)
  })

  it('refuses contradicting namespaces and an invalid one', () => {
    expect(() => parseResourceName('a/b', 'c')).toThrow('--namespace c contradicts a/b')
    expect(() => parseResourceName('b', 'C')).toThrow('--namespace: seen "C"')
  })
})

describe('parseNamespace', () => {
  it.each(['a', 'plant-a', '0', 'n'.repeat(63)])('accepts %s', (text) => {
    expect(parseNamespace(text)).toBe(text)
  })

  it.each(['', 'A', 'a.b', 'a/b', '../x', 'n'.repeat(64)])('refuses %j', (text) => {
    expect(() => parseNamespace(text)).toThrow(UsageError)
  })
})

describe('inNamespace', () => {
  it('uses the current namespace only if none was given', () => {
    expect(inNamespace({ namespace: undefined, name: 'a' }, 'now')).toEqual({ namespace: 'now', name: 'a' })
    expect(inNamespace({ namespace: 'typed', name: 'a' }, 'now')).toEqual({ namespace: 'typed', name: 'a' })
  })
})
