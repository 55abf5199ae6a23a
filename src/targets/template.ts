import type { Template } from 'liquidjs'
import { Sensitive } from '../lib/sensitive.ts'
import { commonFilters, engine, maxOutputLength, newContext, presentTime } from './liquid.ts'

/** The variables of a template. */
export interface TemplateValues {
  readonly accessToken: Sensitive
  readonly appKey: Sensitive
  readonly appSecret: Sensitive
  readonly gatewayUrl: string
  readonly expiresAt: string
  /** Seconds. */
  readonly expiresAtUnix: number
  readonly issuedAt: string
  readonly name: string
  readonly namespace: string
}

export interface CompiledTemplates {
  /** Keys of the Secret's data. */
  readonly keys: readonly string[]
  /** A key that holds exactly the token, so that a restart can read it back. */
  readonly tokenKey: string | undefined
  /** Keys whose templates use the token. */
  readonly keysWithToken: readonly string[]
  /** Whether a template uses appKey or appSecret, so that the content depends on the source Secrets. */
  readonly usesSources: boolean
  /** @throws TemplateRenderError, which names the key and quotes nothing */
  render(values: TemplateValues): Record<string, Sensitive>
}

/** A template that cannot be used. `detail` names the variable or filter, and its line and column. */
export interface TemplateProblem {
  readonly key: string
  readonly detail: string
}

/** All problems of a target's templates, in the order of the keys. */
export interface BrokenTemplates {
  readonly problems: readonly TemplateProblem[]
}

export class TemplateRenderError extends Error {
  override readonly name = 'TemplateRenderError'
  readonly key: string

  constructor(key: string, detail: string) {
    super(`template of key ${key}: ${detail}`)
    this.key = key
  }
}

const placeholders: TemplateValues = {
  accessToken: new Sensitive('token'),
  appKey: new Sensitive('key'),
  appSecret: new Sensitive('secret'),
  gatewayUrl: 'https://gateway.example',
  expiresAt: '2026-01-01T02:00:00Z',
  expiresAtUnix: 1_767_232_800,
  issuedAt: '2026-01-01T00:00:00Z',
  name: 'name',
  namespace: 'namespace',
}

/** The end of a message about unknown filters; said once for all of them. */
export const knownFilters = `; known filters: ${commonFilters.join(', ')}, and the others of LiquidJS, https://liquidjs.com/filters/overview.html`

/** The end of a message about unknown variables; said once for all of them. */
export const knownVariables = `; known variables: ${Object.keys(placeholders).join(', ')}`

/** Outputs of a target, and texts between them. Finding their variables takes time that grows with the square. */
const maxParts = 8192

/**
 * Compiled templates by their text; at most `maxShared` texts of at most `maxSharedLength` characters. Beyond it, the one
 * that was compiled first is dropped from here.
 */
const shared = new Map<string, CompiledTemplates>()
const maxShared = 256
const maxSharedLength = 4096

/**
 * Compiles the templates of a target and renders them with placeholders, so that errors are found before any call. Equal
 * templates share one result: most targets have the default ones, which take 2 KiB compiled.
 */
export function compileTemplates(data: Readonly<Record<string, string>>): CompiledTemplates | BrokenTemplates {
  const text = JSON.stringify(data)
  const known = shared.get(text)
  if (known !== undefined) return known
  const compiled = compile(data)
  if ('problems' in compiled || text.length > maxSharedLength) return compiled
  const [oldest] = shared.size >= maxShared ? shared.keys() : []
  if (oldest !== undefined) shared.delete(oldest)
  shared.set(text, compiled)
  return compiled
}

function compile(data: Readonly<Record<string, string>>): CompiledTemplates | BrokenTemplates {
  const templates = new Map<string, Template[]>()
  const problems: TemplateProblem[] = []
  const keysWithToken: string[] = []
  let usesSources = false
  let parts = 0
  for (const [key, text] of Object.entries(data)) {
    try {
      const parsed = engine.parse(text)
      parts += parsed.length
      if (parts > maxParts) {
        problems.push({ key, detail: `the target has more than ${maxParts} outputs and texts between them` })
        break
      }
      const variables = engine.globalVariablesSync(parsed)
      const unknown = variables.find((variable) => !Object.hasOwn(placeholders, variable))
      if (unknown !== undefined) problems.push({ key, detail: `unknown variable${nameIn(unknown)}` })
      usesSources ||= variables.includes('appKey') || variables.includes('appSecret')
      if (variables.includes('accessToken')) keysWithToken.push(key)
      templates.set(key, parsed)
    } catch (error) {
      problems.push({ key, detail: describe(error) })
    }
  }
  if (problems.length > 0) return { problems }
  const compiled: CompiledTemplates = {
    keys: [...templates.keys()],
    tokenKey: Object.keys(data).find((key) => /^\{\{\s*accessToken\s*\}\}$/.test(data[key] ?? '')),
    keysWithToken,
    usesSources,
    render: (values) => render(templates, values),
  }
  try {
    compiled.render(placeholders)
  } catch (error) {
    if (error instanceof TemplateRenderError) {
      return { problems: [{ key: error.key, detail: error.message.replace(/^[^:]*: /, '') }] }
    }
    throw error
  }
  return compiled
}

function render(templates: ReadonlyMap<string, Template[]>, values: TemplateValues): Record<string, Sensitive> {
  const scope = {
    ...values,
    accessToken: values.accessToken.reveal(),
    appKey: values.appKey.reveal(),
    appSecret: values.appSecret.reveal(),
  }
  const result = renderAll(templates, scope)
  if (!result.ok) throw new TemplateRenderError(result.key, describe(result.error))
  // fromEntries, not assignment: a Secret may have a key `__proto__`.
  return Object.fromEntries(result.rendered)
}

type Rendered =
  | { readonly ok: true; readonly rendered: readonly (readonly [key: string, text: Sensitive])[] }
  | { readonly ok: false; readonly key: string; readonly error: unknown }

function renderAll(templates: ReadonlyMap<string, Template[]>, scope: object): Rendered {
  const context = newContext(scope)
  const rendered: [key: string, text: Sensitive][] = []
  let size = 0
  for (const [key, template] of templates) {
    try {
      const text = String(engine.renderSync(template, context))
      size += text.length
      rendered.push([key, new Sensitive(text)])
    } catch (error) {
      return { ok: false, key, error }
    }
    if (size > maxOutputLength) {
      throw new TemplateRenderError(key, `the output is larger than ${maxOutputLength} characters`)
    }
  }
  return { ok: true, rendered }
}

/** Liquid's messages quote the template, and may quote values; only names and positions are taken from them. */
function describe(error: unknown): string {
  const message = error instanceof Error ? error.message : ''
  const place = /line:(\d+), col:(\d+)/.exec(message)
  const where = place === null ? '' : ` (line ${place[1] ?? ''}, column ${place[2] ?? ''})`
  const [, what, name] = /^undefined (variable|filter): (.*)/s.exec(message) ?? []
  if (what !== undefined && name !== undefined) {
    return `unknown ${what}${nameIn(name)}${where}`
  }
  if (/^output .* not closed/s.test(message)) return `the output {{ is not closed, expected }}${where}`
  if (/^tag /.test(message)) return `tags are not allowed, only outputs {{ … }}${where}`
  if (message.startsWith(presentTime)) return presentTime
  if (/limit exceeded|^Invalid string length/.test(message)) return `it takes too much time or memory${where}`
  return `not valid Liquid${where}`
}

/** A name of a variable or filter, cut; `{{ ["any text"] }}` is a variable to Liquid too. */
function nameIn(text: string): string {
  const [name] = /^[A-Za-z_][\w.-]{0,60}/.exec(text) ?? []
  return name === undefined ? '' : ` ${name}`
}
