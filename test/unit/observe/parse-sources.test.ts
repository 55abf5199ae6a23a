import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { parseStatus } from '../../../src/api/v1alpha1/credential.ts'
import type { CredentialSpec } from '../../../src/api/v1alpha1/schema.ts'
import { sourceRefs } from '../../../src/observe/observed.ts'
import { parseSources, type SourceObject } from '../../../src/observe/parse-sources.ts'
import { marker, secret, spec } from '../../support/builders.ts'
import { selfSigned } from '../../support/certificate.ts'

const application = { appKey: marker.appKey, appSecret: marker.appSecret }
const ofSpec = spec()

function source(data: Readonly<Record<string, string>>, overrides: Partial<SourceObject> = {}): SourceObject {
  const metadata = { name: 'enos-app', uid: 'uid-enos-app', resourceVersion: '10' }
  return { ...secret(data, { metadata }), ...overrides }
}

function read(objects: SourceObject | readonly SourceObject[], of: CredentialSpec = ofSpec) {
  const all = 'metadata' in objects ? [objects] : objects
  const refs = sourceRefs(of)
  return parseSources(
    of,
    refs.map((ref, at) => ({ ref, object: all[at] ?? { metadata: {} } })),
  )
}

function problemOf(...args: Parameters<typeof read>) {
  const { problem } = read(...args)
  if (problem === undefined) throw new Error('no problem')
  return problem
}

function valuesOf(...args: Parameters<typeof read>) {
  const { problem, values } = read(...args)
  if (problem !== undefined) throw new Error(problem.message)
  return values
}

describe('parseSources of headersFrom', () => {
  const header = (name: string, secretName: string, key: string): object => ({
    name,
    secretKeyRef: { name: secretName, key },
  })
  const withHeaders = (...headersFrom: readonly object[]): CredentialSpec =>
    spec({ gateway: { url: 'https://apim.example.com', headersFrom } })
  const of = withHeaders(header('X-Plant', 'gate', 'plant'), header('X-Key', 'enos-app', 'key'))
  const gate = (data: Readonly<Record<string, string>>): SourceObject =>
    source(data, { metadata: { name: 'gate', uid: 'uid-gate', resourceVersion: '11' } })

  it('parseSources returns the header values by name, as Sensitive, and the versions of their Secrets', () => {
    const objects = [source({ ...application, key: 'of the key' }), gate({ plant: 'a b~' })]
    const { headers } = valuesOf(objects, of)
    expect([...headers].map(([name, value]) => [name, value.reveal()])).toEqual([
      ['X-Plant', 'a b~'],
      ['X-Key', 'of the key'],
    ])
    expect(inspect(headers)).not.toContain('of the key')
    expect(read(objects, of).versions).toMatchObject([
      { name: 'enos-app', keys: ['appKey', 'appSecret', 'key'] },
      { name: 'gate', keys: ['plant'] },
    ])
  })

  it('parseSources returns no header for a spec without headersFrom', () => {
    expect(valuesOf(source(application)).headers.size).toBe(0)
  })

  it('parseSources trims trailing newlines of a header value, and names the field', () => {
    const objects = [source({ ...application, key: 'k' }), gate({ plant: 'wind\r\n' })]
    expect(valuesOf(objects, of).headers.get('X-Plant')?.reveal()).toBe('wind')
    expect(read(objects, of).trimmed).toEqual(['spec.gateway.headersFrom[0].secretKeyRef (key plant of Secret gate)'])
  })

  it.each([
    ['a missing key', {}, 'does not exist'],
    ['an empty value', { plant: '' }, 'is empty'],
    ['a value of newlines only', { plant: '\n' }, 'is empty'],
    ['a value of blanks only', { plant: '  ' }, 'is empty'],
    ['a line break', { plant: 'a\r\nX-Other: b' }, 'cannot be a header value: expected printable ASCII'],
    ['a tab', { plant: 'a\tb' }, 'cannot be a header value: expected printable ASCII'],
    ['a letter beyond ASCII', { plant: 'ü' }, 'cannot be a header value: expected printable ASCII'],
    ['8193 bytes', { plant: 'a'.repeat(8193) }, 'is too long for a header value: expected at most 8192 bytes'],
  ])('parseSources refuses %s as SourceKeyMissing', (_, data, what) => {
    expect(problemOf([source({ ...application, key: 'k' }), gate(data)], of)).toEqual({
      class: 'userMustAct',
      reason: 'SourceKeyMissing',
      message: `spec.gateway.headersFrom[0].secretKeyRef: key plant of Secret gate ${what}`,
    })
  })

  it('parseSources accepts 16 KiB in all header values together, and refuses one byte more', () => {
    const large = withHeaders(...['a', 'b', 'c'].map((key) => header(`X-${key}`, 'gate', key)))
    const values = { a: 'a'.repeat(8192), b: 'b'.repeat(8191), c: 'c' }
    expect(valuesOf([source(application), gate(values)], large).headers.size).toBe(3)
    expect(problemOf([source(application), gate({ ...values, c: 'cc' })], large)).toMatchObject({
      reason: 'SourceKeyMissing',
      message: 'spec.gateway.headersFrom: expected at most 16384 bytes in all values together',
    })
  })

  it('parseSources refuses a service-account token as the source of a header', () => {
    const token = { ...gate({ plant: 'a' }), type: 'kubernetes.io/service-account-token' }
    expect(problemOf([source({ ...application, key: 'k' }), token], of).reason).toBe('SourceForbidden')
  })

  it('parseSources reads no more objects and keys than the status has room for', () => {
    const keys = [...Array(8).keys()].map((at) => `k${at}`)
    const ofOne = withHeaders(...keys.map((key) => header(`X-${key}`, 'enos-app', key)))
    const [one] = sourceRefs(ofOne)
    expect(one?.keys).toHaveLength(10)
    const ofMany = withHeaders(...keys.map((key) => header(`X-${key}`, `gate-${key}`, key)))
    const refs = sourceRefs({ ...ofMany, appSecretRef: { name: 'two', key: 'appSecret' } })
    const sources = refs.map(({ keys: used, name }) => ({ name, uid: 'u', resourceVersion: '1', keys: used }))
    expect(sources).toHaveLength(10)
    expect(parseStatus({ sources: [...sources, ...sources.slice(0, 1)] }).sources).toHaveLength(11)
    expect(parseStatus({ sources: [{ ...sources[0], keys: Array(11).fill('k') }] }).sources).toHaveLength(1)
  })
})

describe('parseSources of appKeyRef and appSecretRef', () => {
  it('parseSources names all missing keys in one problem', () => {
    expect(problemOf(source({ other: 'x' }))).toEqual({
      class: 'userMustAct',
      reason: 'SourceKeyMissing',
      message:
        'spec.appKeyRef: key appKey of Secret enos-app does not exist; spec.appSecretRef: key appSecret of Secret enos-app does not exist',
    })
  })

  it('parseSources names five missing keys, and counts the others', () => {
    const headersFrom = ['a', 'b', 'c', 'd'].map((key) => ({
      name: `X-${key}`,
      secretKeyRef: { name: 'enos-app', key },
    }))
    const of = spec({ gateway: { url: 'https://apim.example.com', headersFrom } })
    const { message } = problemOf(source({ other: 'x' }), of)
    expect(message.split('; ')).toHaveLength(5)
    expect(message).toMatch(/key c of Secret enos-app does not exist and 1 more$/)
  })

  it('parseSources returns appKey and appSecret, and the versions of their Secrets', () => {
    const { appKey, appSecret, ca } = valuesOf(source(application))
    expect([appKey.reveal(), appSecret.reveal(), ca]).toEqual([marker.appKey, marker.appSecret, undefined])
    expect(read(source(application))).toMatchObject({
      versions: [{ name: 'enos-app', uid: 'uid-enos-app', resourceVersion: '10', keys: ['appKey', 'appSecret'] }],
      trimmed: [],
    })
  })

  it('parseSources reads the keys and the Secrets that the spec names', () => {
    const of = spec({ appKeyRef: { name: 'one', key: 'id' }, appSecretRef: { name: 'two', key: 'password' } })
    const { appKey, appSecret } = valuesOf([source({ id: 'its-id' }), source({ password: 'its-password' })], of)
    expect([appKey.reveal(), appSecret.reveal()]).toEqual(['its-id', 'its-password'])
  })

  it.each(['\n', '\r\n', '\n\n'])('parseSources trims trailing newlines (%j), and names the field', (end) => {
    const object = source({ ...application, appSecret: marker.appSecret + end })
    expect(valuesOf(object).appSecret.reveal()).toBe(marker.appSecret)
    expect(read(object).trimmed).toEqual(['spec.appSecretRef (key appSecret of Secret enos-app)'])
  })

  it('parseSources keeps blanks and inner newlines, which may be part of a value', () => {
    const object = source({ ...application, appSecret: ' a\nb ' })
    expect(valuesOf(object).appSecret.reveal()).toBe(' a\nb ')
    expect(read(object).trimmed).toEqual([])
  })

  it.each([
    ['a missing key', {}, 'does not exist'],
    ['an empty value', { appKey: '' }, 'is empty'],
    ['a value of newlines only', { appKey: '\r\n\n' }, 'is empty'],
  ])('parseSources refuses %s as SourceKeyMissing', (_, data, what) => {
    expect(problemOf(source({ appSecret: marker.appSecret, ...data }))).toEqual({
      class: 'userMustAct',
      reason: 'SourceKeyMissing',
      message: `spec.appKeyRef: key appKey of Secret enos-app ${what}`,
    })
  })

  it('parseSources refuses bytes that are not UTF-8', () => {
    const data = { ...source(application).data, appSecret: Buffer.from([0xff, 0xfe, 0x80]).toString('base64') }
    expect(problemOf(source({}, { data })).message).toBe(
      'spec.appSecretRef: key appSecret of Secret enos-app is not UTF-8 text',
    )
  })

  it('parseSources refuses a service-account token, which a user could otherwise send to a gateway of their own', () => {
    const object = source({ ...application, token: 'jwt' }, { type: 'kubernetes.io/service-account-token' })
    expect(problemOf(object)).toMatchObject({ class: 'userMustAct', reason: 'SourceForbidden' })
  })

  it.each([
    ['a property of the prototype', 'constructor'],
    ['another property of the prototype', '__proto__'],
  ])('parseSources does not take %s for a key of the Secret', (_, key) => {
    expect(problemOf(source(application), spec({ appKeyRef: { name: 'enos-app', key } })).reason).toBe(
      'SourceKeyMissing',
    )
  })

  it('parseSources shows no secret value when printed, with or without a problem', () => {
    const shown = [
      read(source(application)),
      read(source({ appSecret: `${marker.appSecret}\n` })),
      read(source({ appKey: marker.appKey })),
    ]
    const text = JSON.stringify(shown) + inspect(shown, { depth: null })
    for (const value of Object.values(marker)) expect(text).not.toContain(value)
  })
})

describe('parseSources of caRef', () => {
  const of = spec({ gateway: { caRef: { kind: 'ConfigMap', name: 'corp-ca' } } })
  const configMap = (data: Readonly<Record<string, string>>): SourceObject => ({ metadata: { name: 'corp-ca' }, data })
  const pem = selfSigned().cert.trimEnd()

  it('parseSources returns the CA bundle unchanged, with the comments between its certificates', () => {
    const bundle = `# corporate\n${pem}\n# and once more\n${pem}`
    expect(valuesOf([source(application), configMap({ 'ca.crt': bundle })], of).ca).toBe(bundle.trimEnd())
  })

  it('parseSources does not list the trailing newline of a CA bundle as trimmed', () => {
    expect(read([source(application), configMap({ 'ca.crt': `${pem}\n` })], of).trimmed).toEqual([])
  })

  it('parseSources reads a CA bundle from a Secret', () => {
    const ofSecret = spec({ gateway: { caRef: { kind: 'Secret', name: 'corp-ca', key: 'root.pem' } } })
    const object = source({ 'root.pem': pem }, { metadata: { name: 'corp-ca' } })
    expect(valuesOf([source(application), object], ofSecret).ca).toBe(pem)
  })

  it.each([
    ['a CA without a certificate', 'hello', 'no certificates in PEM'],
    [
      'a CA with an invalid certificate',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
      'an invalid certificate (number 1 of 1): it cannot be parsed',
    ],
    [
      'a CA with a valid certificate before an invalid one',
      `${pem}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----`,
      'an invalid certificate (number 2 of 2): it cannot be parsed',
    ],
  ])('parseSources refuses %s as InvalidCA', (_, text, expected) => {
    expect(problemOf([source(application), configMap({ 'ca.crt': text })], of)).toEqual({
      class: 'userMustAct',
      reason: 'InvalidCA',
      message: `spec.gateway.caRef: key ca.crt of ConfigMap corp-ca holds ${expected}`,
    })
  })

  it('parseSources refuses a caRef whose key does not exist', () => {
    expect(problemOf([source(application), configMap({})], of).message).toBe(
      'spec.gateway.caRef: key ca.crt of ConfigMap corp-ca does not exist',
    )
  })
})
