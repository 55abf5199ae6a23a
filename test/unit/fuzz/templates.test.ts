import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { compileTemplates, TemplateRenderError, type TemplateValues } from '../../../src/targets/template.ts'
import { marker } from '../../support/builders.ts'

const values: TemplateValues = {
  accessToken: new Sensitive(marker.token),
  appKey: new Sensitive(marker.appKey),
  appSecret: new Sensitive(marker.appSecret),
  gatewayUrl: 'https://apim.example.com',
  expiresAt: '2026-01-01T02:00:00Z',
  expiresAtUnix: 1_767_232_800,
  issuedAt: '2026-01-01T00:00:00Z',
  name: 'wind-farm',
  namespace: 'plant-a',
}
const mebibyte = 1024 * 1024

const variable = fc.constantFrom(
  ...Object.keys(values),
  'process',
  'constructor',
  '__proto__',
  'accessToken.length',
  'x',
)
const argument = fc.oneof(
  variable,
  fc.integer().map(String),
  fc.string({ maxLength: 8 }).map((text) => JSON.stringify(text)),
  fc.constantFrom('"now"', '"%s"'),
)
const filter = fc.oneof(
  fc.constantFrom(
    'append',
    'prepend',
    'split',
    'join',
    'replace',
    'upcase',
    'json',
    'base64_encode',
    'url_encode',
    'slice',
    'times',
    'plus',
  ),
  fc.constantFrom(
    'date',
    'sort',
    'map',
    'where',
    'sample',
    'raw',
    'default',
    'truncate',
    'strip_html',
    'escape',
    'size',
    'sum',
    'concat',
    'push',
  ),
)
const piped = fc
  .tuple(filter, fc.array(argument, { maxLength: 2 }))
  .map(([name, args]) => `${name}${args.length > 0 ? `: ${args.join(', ')}` : ''}`)
const output = fc
  .tuple(argument, fc.array(piped, { maxLength: 8 }))
  .map(([head, filters]) => `{{ ${[head, ...filters].join(' | ')} }}`)
const tag = fc.constantFrom(
  '{% assign x = 1 %}',
  '{% for i in (1..1000000) %}x{% endfor %}',
  '{% include "x" %}',
  '{% raw %}',
  '{%- comment -%}',
)
const template = fc
  .array(fc.oneof(output, output, fc.string({ maxLength: 20 }), tag, fc.constantFrom('{{', '}}', '{%')), {
    maxLength: 6,
  })
  .map((parts) => parts.join(''))

describe('whatever stands in a template', () => {
  it('is rendered, always the same, or refused in a short line that quotes nothing', () => {
    fc.assert(
      fc.property(template, (text) => {
        const compiled = compileTemplates({ key: text })
        if ('problems' in compiled) {
          expect(compiled.problems).toHaveLength(1)
          expect(compiled.problems[0]?.detail).toMatch(/^[^\n\r]{1,199}$/)
          return
        }
        expect(text).not.toMatch(/\{%(?!.*\}\})/)
        const first = rendered(() => compiled.render(values))
        expect(rendered(() => compiled.render(values))).toEqual(first)
      }),
      { numRuns: 3000 },
    )
  })

  it('takes bounded time and gives bounded output, however its filters are chained', () => {
    const growing = fc.constantFrom(
      'append: accessToken',
      'replace: "", "xxxxxxxx"',
      'split: "" | join: "xxxxxxxx"',
      'url_encode',
      'json',
      'base64_encode',
      'escape',
      'strip_html',
    )
    const chain = fc
      .array(growing, { minLength: 1, maxLength: 300 })
      .map((filters) => `{{ accessToken | ${filters.join(' | ')} }}`)
    let maxMs = 0
    fc.assert(
      fc.property(fc.array(chain, { minLength: 1, maxLength: 4 }), (texts) => {
        const begun = performance.now()
        const compiled = compileTemplates(Object.fromEntries(texts.map((text, at) => [`k${at}`, text])))
        const output = 'problems' in compiled ? '' : rendered(() => compiled.render(values))
        maxMs = Math.max(maxMs, performance.now() - begun)
        expect(output.length).toBeLessThanOrEqual(2 * mebibyte)
      }),
      { numRuns: 300 },
    )
    // A bound of minutes against milliseconds: not a measurement, but the difference between bounded and not.
    expect(maxMs).toBeLessThan(10_000)
  })
})

/** The output as a text; or the error's message, which must hold no value. */
function rendered(render: () => Record<string, Sensitive>): string {
  try {
    return Object.entries(render())
      .map(([key, text]) => `${key}=${text.reveal()}`)
      .join('\n')
  } catch (error) {
    if (!(error instanceof TemplateRenderError)) throw error
    for (const secret of Object.values(marker)) expect(error.message).not.toContain(secret)
    return error.message
  }
}
