import { describe, expect, it } from 'vitest'
import { customResourceDefinition } from '../../../src/api/v1alpha1/crd.ts'
import { parseSpec, parseStatus } from '../../../src/api/v1alpha1/credential.ts'
import { fullSpec, minimalSpec, specCases } from '../../support/spec-table.ts'

describe('parseSpec', () => {
  it.each(specCases)('agrees with the table on $name', ({ isAccepted, spec }) => {
    const parsed = parseSpec('wind-farm', spec)
    expect(parsed).toMatchObject({ ok: isAccepted })
    if (!parsed.ok) for (const problem of parsed.problems) expect(problem).toMatch(/^spec[.:]/)
  })

  it('applies defaults to fields that are left out', () => {
    expect(parseSpec('wind-farm', minimalSpec)).toEqual({
      ok: true,
      spec: {
        gateway: { url: 'https://apim.example.com', allowInsecureHTTP: false, timeout: '10s' },
        appKeyRef: { name: 'enos-app', key: 'appKey' },
        appSecretRef: { name: 'enos-app', key: 'appSecret' },
        renewalMethod: 'Auto',
        targets: [
          {
            name: 'enos-token',
            data: { accessToken: '{{ accessToken }}', expiresAt: '{{ expiresAt }}' },
            creationPolicy: 'Owner',
            deletionPolicy: 'Delete',
          },
        ],
        propagation: 'Kubelet',
        suspend: false,
      },
    })
  })

  it('keeps the value of every field that is set', () => {
    expect(parseSpec('wind-farm', fullSpec)).toMatchObject({ ok: true, spec: fullSpec })
  })

  it('refuses a name of the resource that is too long for a label value', () => {
    expect(parseSpec('n'.repeat(63), minimalSpec)).toMatchObject({ ok: true })
    expect(parseSpec('n'.repeat(64), minimalSpec)).toEqual({
      ok: false,
      problems: ['metadata.name: must be at most 63 characters'],
    })
  })

  it('names the field and the expected value in each problem, and quotes no value', () => {
    const parsed = parseSpec('wind-farm', { ...minimalSpec, renewBefore: 'some-secret', targets: [{ name: 'A' }] })
    expect(parsed).toEqual({
      ok: false,
      problems: [
        'spec.renewBefore: expected a duration like 10s, 5m or 1h30m (units: ms, s, m, h)',
        'spec.targets.0.name: expected the name of an object: lower-case letters, digits, - and ., at most 63 characters between dots',
      ],
    })
  })
})

describe('the problems of parseSpec', () => {
  const withTargets = (targets: unknown): object => ({ ...minimalSpec, targets })
  const withGateway = (gateway: object): object => ({ ...minimalSpec, gateway })

  it.each<[unknown, string]>([
    [undefined, 'spec: missing, expected an object with fields'],
    [{ ...minimalSpec, gateway: undefined }, 'spec.gateway: missing, expected an object with fields'],
    [{ ...minimalSpec, suspend: 'yes' }, 'spec.suspend: expected true or false'],
    [{ ...minimalSpec, renewBefore: 20 }, 'spec.renewBefore: expected a text'],
    [{ ...minimalSpec, renewalMethod: 'auto' }, 'spec.renewalMethod: expected Auto or Refresh or Get'],
    [{ ...minimalSpec, renewBefore: '0s' }, 'spec.renewBefore: must be more than 0'],
    [{ ...minimalSpec, appKeyRef: {} }, 'spec.appKeyRef.name: missing, expected a text'],
    [{ ...minimalSpec, appKeyRef: { name: '' } }, 'spec.appKeyRef.name: expected at least 1 character'],
    [withTargets({}), 'spec.targets: expected a list'],
    [withTargets([]), 'spec.targets: expected at least 1 item'],
    [withTargets([...Array(17).keys()].map((at) => ({ name: `t${at}` }))), 'spec.targets: expected at most 16 items'],
    [withGateway({ url: 'http://apim.example.com' }), 'spec.gateway: http:// requires allowInsecureHTTP: true'],
    [
      withGateway({ url: 'HTTPS://apim.example.com' }),
      'spec.gateway.url: expected http(s)://host in lower case, with optional port and base path, and without userinfo, query and fragment',
    ],
  ])('parseSpec has one problem, a sentence, for %j', (spec, problem) => {
    expect(parseSpec('wind-farm', spec)).toEqual({ ok: false, problems: [problem] })
  })

  it("parseSpec has no problem in zod's own words", () => {
    for (const { isAccepted, spec } of specCases) {
      const parsed = parseSpec('wind-farm', spec)
      if (parsed.ok || isAccepted) continue
      expect(parsed.problems.join('; ')).not.toMatch(/Invalid|Too (?:small|big)|received|zod/)
    }
  })
})

describe('parseStatus', () => {
  it('takes the default status of the CRD for an empty one', () => {
    expect(parseStatus({ observedGeneration: -1, conditions: [] })).toEqual(parseStatus(undefined))
  })

  it('keeps observedGeneration of a status that an operator wrote', () => {
    expect(parseStatus({ observedGeneration: 0 })).toMatchObject({ observedGeneration: 0 })
  })
})

describe('customResourceDefinition', () => {
  interface Schema {
    readonly default?: unknown
    readonly properties?: Readonly<Record<string, Schema>>
    readonly items?: Schema
    readonly description?: string
    readonly required?: readonly string[]
  }

  function crdSchema(): Schema {
    const crd = customResourceDefinition() as unknown as {
      spec: { versions: [{ schema: { openAPIV3Schema: Schema } }] }
    }
    return crd.spec.versions[0].schema.openAPIV3Schema
  }

  /** Paths of optional fields whose description has no default. */
  function withoutDefaultText(path: string, { items, properties = {}, required = [] }: Schema): string[] {
    const below = Object.entries(properties).flatMap(([name, property]) => {
      const isTold = required.includes(name) || /Default: /.test(property.description ?? '')
      return [...(isTold ? [] : [`${path}.${name}`]), ...withoutDefaultText(`${path}.${name}`, property)]
    })
    return [...below, ...(items === undefined ? [] : withoutDefaultText(`${path}[]`, items))]
  }

  /** Paths of the fields with a default. */
  function defaultsIn(path: string, { items, properties = {}, ...schema }: Schema): string[] {
    return [
      ...(schema.default === undefined ? [] : [path]),
      ...Object.entries(properties).flatMap(([name, property]) => defaultsIn(`${path}.${name}`, property)),
      ...(items === undefined ? [] : defaultsIn(`${path}[]`, items)),
    ]
  }

  it('has defaults, but none in a list', () => {
    const paths = defaultsIn('', crdSchema())
    expect(paths).toContain('.spec.appKeyRef.key')
    expect(paths).toContain('.status')
    expect(paths.filter((path) => path.includes('[]'))).toEqual([])
  })

  it('names the default of every optional field of the spec in its description, for kubectl explain', () => {
    expect(withoutDefaultText('spec', crdSchema().properties?.['spec'] ?? {})).toEqual([])
  })
})
