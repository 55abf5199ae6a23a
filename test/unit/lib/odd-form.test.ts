import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { describeOddForm } from '../../../src/lib/odd-form.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'

const secret = '7f2b1c9e-kq83_Zx'
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const describeForm = (text: string): string | undefined => describeOddForm(new Sensitive(text))

describe('describeOddForm', () => {
  it.each([
    [` ${secret}`, 'begins with white space'],
    [`${secret}\t`, 'ends with white space'],
    [` ${secret} `, 'begins with white space and ends with white space'],
    [`${secret}\n${secret}`, 'has line breaks'],
    [`\ufeff${secret}`, 'begins with white space and has invisible characters'],
    [`${secret}\u200b`, 'has invisible characters'],
    [`abc\u00a0def`, 'has invisible characters'],
    [`abc\u0007def`, 'has invisible characters'],
    [`"${secret}"`, 'is in quotes'],
    [`'${secret}' `, 'ends with white space and is in quotes'],
    [`“${secret}”`, 'is in quotes'],
    ['${APP_SECRET}', 'looks like a placeholder'],
    ['<app-secret>', 'looks like a placeholder'],
    ['{{ .Values.appSecret }}', 'looks like a placeholder'],
    ['ENC[AES256_GCM,data:Tr7o=,iv:1=,tag:k=,type:str]', 'looks like a value encrypted by SOPS'],
    [`AgB${randomBytes(400).toString('base64').replaceAll('=', '')}`, 'looks like the value of a SealedSecret'],
    ['$ANSIBLE_VAULT;1.1;AES256', 'looks like a value encrypted by Ansible or Vault'],
    ['vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQAVZRkFM13ok481zo', 'looks like a value encrypted by Ansible or Vault'],
    [base64(secret), 'looks like base64 of text'],
    [base64(`${secret}\n`), 'looks like base64 of text'],
    [`"${base64(secret)}"`, 'is in quotes and looks like base64 of text'],
  ])('says of %j: %s', (text, words) => {
    expect(describeForm(text)).toBe(words)
  })

  it.each([
    '',
    secret,
    'f47ac10b-58cc-4372-a567-0e02b2c3d479',
    '0123456789abcdef0123456789abcdef',
    '2VxGm8Rk3QJ7pLw9',
    'p@ss"word\'s',
    'a b',
    'abcd',
    'Zürich-7',
  ])('finds nothing odd about %j', (text) => {
    expect(describeForm(text)).toBeUndefined()
  })

  it('takes random values for odd less than once in a hundred times', () => {
    const values = Array.from({ length: 2000 }, (_, at) =>
      at % 2 === 0 ? randomUUID().replaceAll('-', '') : randomBytes(12 + (at % 30)).toString('base64url'),
    )
    expect(values.filter((value) => describeForm(value) !== undefined).length).toBeLessThan(20)
  })

  it('quotes no part of the value', () => {
    for (const text of [` marker-${secret}`, `"marker-${secret}"`, base64(`marker-${secret}`), `<marker-${secret}>`]) {
      expect(describeForm(text)).toMatch(/^(?!.*marker)/)
    }
  })
})
