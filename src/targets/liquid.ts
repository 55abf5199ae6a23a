import { Context, defaultOperators, type FilterImplOptions, Liquid } from 'liquidjs'

/** The API server's limit for a Secret: 1 MiB in all. */
export const maxOutputLength = 1024 * 1024
/**
 * Work that all templates of a target may do together, in characters. Rendering blocks the event loop, and Liquid charges
 * only some filters: one output with a long chain of filters would block the process for minutes. The limit is in work and
 * not in time: a process that is short of CPU for some 100 ms would refuse a good template, and no edit would help.
 */
const maxWork = maxOutputLength
/** Cost of a filter call, and of each list element: some filters take microseconds for each. */
const callCost = 64
const elementCost = 32

export const presentTime = 'the present time would never settle; use issuedAt or expiresAt'

type FilterHandler = Extract<FilterImplOptions, (...args: never[]) => unknown>
type FilterImpl = ThisParameterType<FilterHandler>
type OperatorHandler = (typeof defaultOperators)[string]

/** Liquid with outputs and filters only: no tags, no files, no randomness, no clock. */
export const engine = new Liquid({
  strictVariables: true,
  strictFilters: true,
  ownPropertyOnly: true,
  timezoneOffset: 0,
  parseLimit: 64 * 1024,
  memoryLimit: maxWork,
  // Templates include no files.
  templates: {},
  operators: Object.fromEntries(Object.entries(defaultOperators).map(([name, handler]) => [name, measured(handler)])),
  outputEscape: function (this: FilterImpl, value: unknown): string {
    this.context.memoryLimit.use(Array.isArray(value) ? costOf(value) : 0)
    // No escaping; the type asks for a string, and Liquid converts any value to one.
    return value as string
  },
})
for (const tag of Object.keys(engine.tags)) Reflect.deleteProperty(engine.tags, tag)
// Random output would make every Secret drift; expressions in strings would hide their variables from the check.
const refusedFilters = /^(?:sample|.*_exp)$/
for (const [name, filter] of Object.entries(engine.filters)) {
  if (refusedFilters.test(name)) engine.unregisterFilter(name)
  else if (typeof filter === 'function') engine.registerFilter(name, guarded(name, filter))
}
// Liquid's own `raw` would bypass `outputEscape`.
engine.registerFilter('raw', (value: unknown) => value)

/** Filters that templates of Secrets need most, for messages. */
export const commonFilters =
  'append, base64_decode, base64_encode, date, default, downcase, json, prepend, replace, strip, upcase, url_encode'.split(
    ', ',
  )

/** A scope whose limits apply to everything rendered with it together. */
export function newContext(scope: object): Context {
  return new Context(scope, engine.options, { sync: true }, { liquid: engine })
}

function guarded(name: string, filter: FilterHandler): FilterHandler {
  const isDate = name.startsWith('date')
  return function (value: unknown, ...args: unknown[]): unknown {
    if (isDate && (value === 'now' || value === 'today')) throw new Error(presentTime)
    const { memoryLimit } = this.context
    memoryLimit.use([value, ...args].reduce<number>((cost, one) => cost + costOf(one), callCost))
    const result: unknown = filter.call(this, value, ...args)
    // A filter can lengthen its input (url_encode: up to nine times), and the next one can do so again.
    if (typeof result === 'string') memoryLimit.check(result.length)
    return result
  }
}

/** Liquid charges nothing for the elements of a range, and searching a million of them takes seconds. */
function measured(handler: OperatorHandler): OperatorHandler {
  return (...operands: [unknown, unknown, Context] | [unknown, Context]) => {
    const context = operands.at(-1) as Context
    context.memoryLimit.use(operands.slice(0, -1).reduce<number>((cost, one) => cost + costOf(one), callCost))
    return (handler as (...all: unknown[]) => ReturnType<OperatorHandler>)(...operands)
  }
}

function costOf(value: unknown): number {
  if (Array.isArray(value)) return value.length * elementCost
  return typeof value === 'string' ? value.length : 0
}
