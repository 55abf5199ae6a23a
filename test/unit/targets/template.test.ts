import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { formatTime } from '../../../src/lib/time.ts'
import { commonFilters } from '../../../src/targets/liquid.ts'
import {
  type CompiledTemplates,
  compileTemplates,
  type TemplateProblem,
  TemplateRenderError,
  type TemplateValues,
} from '../../../src/targets/template.ts'
import { marker, now, spec } from '../../support/builders.ts'

const values: TemplateValues = {
  accessToken: new Sensitive(marker.token),
  appKey: new Sensitive(marker.appKey),
  appSecret: new Sensitive(marker.appSecret),
  gatewayUrl: 'https://apim.example.com/base',
  expiresAt: formatTime(now + 3_600_000),
  expiresAtUnix: (now + 3_600_000) / 1000,
  issuedAt: formatTime(now),
  name: 'wind-farm',
  namespace: 'plant-a',
}
const mebibyte = 1024 * 1024

afterEach(() => {
  vi.restoreAllMocks()
})

function compiled(data: Readonly<Record<string, string>>): CompiledTemplates {
  const result = compileTemplates(data)
  if ('problems' in result) throw new Error(JSON.stringify(result.problems))
  return result
}

function problemOf(text: string): TemplateProblem | undefined {
  const result = compileTemplates({ ENOS_TOKEN: text })
  return 'problems' in result ? result.problems[0] : undefined
}

function rendered(text: string, overrides: Partial<TemplateValues> = {}): string | undefined {
  return compiled({ key: text })
    .render({ ...values, ...overrides })
    ['key']?.reveal()
}

function failureOf(data: Readonly<Record<string, string>>, overrides: Partial<TemplateValues>): TemplateRenderError {
  try {
    compiled(data).render({ ...values, ...overrides })
  } catch (error) {
    if (error instanceof TemplateRenderError) return error
    throw error
  }
  throw new Error('it was rendered')
}

describe('CompiledTemplates.render', () => {
  it('the template renders accessToken and expiresAt for a target without data', () => {
    const [target] = spec().targets
    const data = compiled(target?.data ?? {}).render(values)
    expect(Object.keys(data)).toEqual(['accessToken', 'expiresAt'])
    expect(data['accessToken']?.reveal()).toBe(marker.token)
    expect(data['expiresAt']?.reveal()).toBe('2026-01-01T13:00:00Z')
  })

  it.each([
    ['{{ accessToken }}', marker.token],
    ['{{ appKey }}', marker.appKey],
    ['{{ appSecret }}', marker.appSecret],
    ['{{ gatewayUrl }}', 'https://apim.example.com/base'],
    ['{{ expiresAt }}', '2026-01-01T13:00:00Z'],
    ['{{ expiresAtUnix }}', '1767272400'],
    ['{{ issuedAt }}', '2026-01-01T12:00:00Z'],
    ['{{ name }} of {{ namespace }}', 'wind-farm of plant-a'],
    ['no output at all', 'no output at all'],
    ['', ''],
  ])('the template renders %j as %j', (text, expected) => {
    expect(rendered(text)).toBe(expected)
  })

  it.each([
    ['{{ "a:b" | base64_encode }}', 'YTpi'],
    ['{{ "a b&c=d/ü" | url_encode }}', 'a+b%26c%3Dd%2F%C3%BC'],
    ['{"token":{{ name | json }}}', '{"token":"wind-farm"}'],
    ['{{ name | upcase | append: "!" }}', 'WIND-FARM!'],
    ['{{ expiresAtUnix | minus: 60 }}', '1767272340'],
    ['{{ issuedAt | date: "%Y-%m-%d %H:%M" }}', '2026-01-01 12:00'],
  ])('the template applies filters: renders %s as %j', (text, expected) => {
    expect(rendered(text)).toBe(expected)
  })

  it('the template does not escape characters that are special to HTML or a shell', () => {
    const token = `<&>"'\`$(x)\\ {{ appSecret }} ünï 🌬`
    expect(rendered('{{ accessToken }}', { accessToken: new Sensitive(token) })).toBe(token)
  })

  it('the template renders any value unchanged', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (token, secret) => {
        const text = '{{ accessToken }}:{{ appSecret }}'
        const accessToken = new Sensitive(token)
        return rendered(text, { accessToken, appSecret: new Sensitive(secret) }) === `${token}:${secret}`
      }),
    )
  })

  it('the template renders one value for each key, also for keys named like properties of the prototype', () => {
    const key = fc.stringMatching(/^[-._a-zA-Z0-9]{1,20}$/)
    const named = fc.constantFrom('constructor', 'toString', '__proto__', 'hasOwnProperty')
    fc.assert(
      fc.property(fc.uniqueArray(fc.oneof(key, named), { minLength: 1, maxLength: 8 }), (keys) => {
        const templates = compiled(Object.fromEntries(keys.map((one) => [one, `${one}={{ name }}`])))
        expect([...templates.keys].sort()).toEqual([...keys].sort())
        const data = Object.entries(templates.render(values)).map(([one, value]) => [one, value.reveal()])
        expect(data.sort()).toEqual(keys.map((one) => [one, `${one}=wind-farm`]).sort())
      }),
    )
  })

  it('the template renders values that print as [redacted] only', () => {
    const data = compiled({ token: '{{ accessToken }}', basic: '{{ appKey }}:{{ appSecret }}' }).render(values)
    expect(JSON.stringify(data)).toBe('{"token":"[redacted]","basic":"[redacted]"}')
  })
})

describe('compileTemplates: tokenKey', () => {
  it.each(['{{ accessToken }}', '{{accessToken}}', '{{  accessToken\n}}'])(
    'tokenKey is the key with the template %j',
    (text) => {
      expect(compiled({ expiry: '{{ expiresAt }}', token: text }).tokenKey).toBe('token')
    },
  )

  it.each(['Bearer {{ accessToken }}', '{{ accessToken | base64_encode }}', '{{ accessToken }}\n', '{{ expiresAt }}'])(
    'tokenKey is not a key with the template %j',
    (text) => {
      expect(compiled({ token: text }).tokenKey).toBeUndefined()
    },
  )
})

it('compileTemplates sets usesSources when a template uses a value of the source Secrets', () => {
  expect(compiled({ a: '{{ accessToken }}', b: '{{ name }}' }).usesSources).toBe(false)
  expect(compiled({ a: '{{ accessToken }}', b: '{{ appKey }}' }).usesSources).toBe(true)
  expect(compiled({ a: '{{ appSecret | base64_encode }}' }).usesSources).toBe(true)
  expect(compiled({ a: '{{ name | append: appSecret }}' }).usesSources).toBe(true)
})

describe('compileTemplates: sharing', () => {
  const data = (name: string): Record<string, string> => ({ [name]: '{{ accessToken }}' })

  it('compileTemplates compiles equal templates once, and holds at most 256 of them', () => {
    const first = compileTemplates(data('first'))
    expect(compileTemplates(data('first'))).toBe(first)
    for (let at = 0; at < 256; at++) compileTemplates(data(`other-${at}`))
    expect(compileTemplates(data('first'))).not.toBe(first)
    expect(compileTemplates(data('first'))).toMatchObject({ keys: ['first'], tokenKey: 'first' })
  })

  it('compileTemplates tells templates apart by key, text and order', () => {
    const both = compileTemplates({ a: '{{ name }}', b: '{{ accessToken }}' })
    expect(both).toMatchObject({ keys: ['a', 'b'], keysWithToken: ['b'] })
    expect(compileTemplates({ b: '{{ accessToken }}', a: '{{ name }}' })).toMatchObject({ keys: ['b', 'a'] })
  })

  it('compileTemplates shares neither long templates nor problems', () => {
    for (const text of ['x'.repeat(5000), '{{']) {
      expect(compileTemplates({ key: text })).not.toBe(compileTemplates({ key: text }))
    }
  })
})

describe('commonFilters', () => {
  it.each(commonFilters)('%s, which the message about an unknown filter names, is a filter', (filter) => {
    expect(problemOf(`{{ "x" | ${filter}: "y", "z" }}`)?.detail ?? '').not.toContain('unknown')
  })
})

describe('compileTemplates: refused templates', () => {
  it.each([
    ['{{ acessToken }}', 'unknown variable acessToken'],
    ['{{ accessToken | append: unset }}', 'unknown variable unset'],
    ['{{ process.env.HOME }}', 'unknown variable process'],
    ['{{ accessToken | shout }}', 'unknown filter shout (line 1, column 1)'],
    ['{{ accessToken.length2 }}', 'unknown variable accessToken.length2 (line 1, column 4)'],
    ['ok\n  {{ accessToken | shout }}', 'unknown filter shout (line 2, column 3)'],
    ['{% if accessToken %}yes{% endif %}', 'tags are not allowed, only outputs {{ … }} (line 1, column 1)'],
    ['{% include "/etc/passwd" %}', 'tags are not allowed, only outputs {{ … }} (line 1, column 1)'],
    ['{{ accessToken', 'the output {{ is not closed, expected }} (line 1, column 1)'],
    ['ok }}\n{{\naccessToken', 'the output {{ is not closed, expected }} (line 2, column 1)'],
    ['{{ accessToken | }}x{{', 'the output {{ is not closed, expected }} (line 1, column 21)'],
    ['{{ "now" | date: "%s" }}', 'the present time would never settle; use issuedAt or expiresAt'],
    ["{{ 'today' | date: '%F' }}", 'the present time would never settle; use issuedAt or expiresAt'],
  ])('compileTemplates refuses %j', (text, detail) => {
    expect(problemOf(text)).toEqual({ key: 'ENOS_TOKEN', detail })
  })

  it.each(['{{ "a,b" | split: "," | sample }}', '{{ "a,b" | split: "," | map_exp: "x", "appSecret" }}'])(
    'compileTemplates refuses %j, which is random or hides its variables',
    (text) => {
      expect(problemOf(text)?.detail).toMatch(/^(?:unknown filter|not valid Liquid)/)
    },
  )

  it('compileTemplates reports each broken template by the name of its key', () => {
    expect(compileTemplates({ good: '{{ name }}', bad: '{{ nme }}', worse: '{{' })).toEqual({
      problems: [
        { key: 'bad', detail: 'unknown variable nme' },
        { key: 'worse', detail: 'the output {{ is not closed, expected }} (line 1, column 1)' },
      ],
    })
  })

  it('compileTemplates does not repeat the text of the template in the problem', () => {
    const text = fc.oneof(
      fc.string().map((rest) => `{{ "${marker.appSecret}" ${rest}`),
      fc.string().map((rest) => `${marker.appSecret}{{ name | ${rest}: "${marker.appSecret}" }}`),
      fc.constant(`{% raw %}${marker.appSecret}{% endraw %}`),
    )
    fc.assert(
      fc.property(text, (template) => {
        const result = compileTemplates({ ENOS_TOKEN: template })
        if ('problems' in result) expect(JSON.stringify(result)).not.toContain(marker.appSecret)
      }),
    )
  })
})

describe('CompiledTemplates.render: bounds', () => {
  it('rendering fails on more than 1 MiB in all keys of a Secret', () => {
    const half = new Sensitive('x'.repeat(mebibyte / 2))
    const data = { a: '{{ accessToken }}', b: '{{ appSecret }}' }
    expect(Object.keys(compiled(data).render({ ...values, accessToken: half, appSecret: half }))).toEqual(['a', 'b'])
    const failure = failureOf(data, { accessToken: half, appSecret: new Sensitive(`${half.reveal()}x`) })
    expect(failure.key).toBe('b')
    expect(failure.message).toBe('template of key b: the output is larger than 1048576 characters')
  })

  it('rendering has the same bound for any split of the output over the keys', () => {
    const lengths = fc.array(fc.nat(mebibyte / 2), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(lengths, (sizes) => {
        const data = Object.fromEntries(sizes.map((size, at) => [`key${at}`, 'y'.repeat(size % 16_384)]))
        const filled = Object.fromEntries(sizes.map((size, at) => [`token${at}`, '{{ accessToken }}'] as const))
        const accessToken = new Sensitive('x'.repeat(Math.max(...sizes)))
        const total = Object.values(data).join('').length + Object.keys(filled).length * accessToken.reveal().length
        const render = (): unknown => compiled({ ...data, ...filled }).render({ ...values, accessToken })
        if (total > mebibyte) expect(render).toThrow(TemplateRenderError)
        else expect(render).not.toThrow()
      }),
      { numRuns: 30 },
    )
  })

  it('rendering stops a template whose output multiplies itself', () => {
    const text = `{{ "${'x'.repeat(1000)}"${' | split: "" | join: "xxxxxxxxxxxxxxxxxxxx"'.repeat(6)} }}`
    expect(problemOf(text)?.detail).toMatch(/^(?:it takes too much time or memory|the output is larger than)/)
  })

  it('rendering takes no notice of pauses of the process', () => {
    const actual = performance.now.bind(performance)
    let behind = 0
    // Each reading of the clock is ten seconds late, as in a process that is short of CPU.
    vi.spyOn(performance, 'now').mockImplementation(() => actual() + (behind += 10_000))
    const data = { key: '{{ name }} {{ namespace }}' }
    expect(compiled(data).render(values)['key']?.reveal()).toBe('wind-farm plant-a')
  })

  it('compileTemplates refuses a target of very many outputs before it looks at them', () => {
    const text = '{{ name }}'.repeat(1024)
    const data = Object.fromEntries([...Array(8).keys()].map((at) => [`key${at}`, text]))
    expect(compiled(data).keys).toHaveLength(8)
    expect(compileTemplates({ ...data, last: '{{ name }}', beyond: text })).toEqual({
      problems: [{ key: 'last', detail: 'the target has more than 8192 outputs and texts between them' }],
    })
  })
})

it('a render error names the key, and contains no value', () => {
  const failure = failureOf(
    { fine: '{{ name }}', broken: '{{ accessToken | append: appSecret | append: appKey }}' },
    { accessToken: new Sensitive(marker.token.repeat(60_000)) },
  )
  expect(failure.key).toBe('broken')
  const text = `${failure.message} ${String(failure)} ${JSON.stringify(failure)} ${failure.stack ?? ''}`
  for (const secret of Object.values(marker)) expect(text).not.toContain(secret)
})
