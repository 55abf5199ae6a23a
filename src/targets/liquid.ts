import { Context, defaultOperators, type FilterImplOptions, Liquid } from 'liquidjs'

/** As etcd and the API server bound a Secret: 1 MiB in all. */
export const maxOutputLength = 1024 * 1024
/** Rendering is synchronous; a target of some lines takes well under a millisecond. */
const renderLimitMs = 100
/**
 * What all templates of a target may use together, in characters. Liquid looks at its clock between two outputs only and
 * charges a part of its filters: one output with a long chain would stop the process for minutes.
 */
const maxWork = maxOutputLength
/** What a call of a filter costs by itself, and what an element of a list does: some filters take microseconds for each. */
const callCost = 64
const elementCost = 32

export const presentTime = 'the present time would never settle; use issuedAt or expiresAt'

type FilterHandler = Extract<FilterImplOptions, (...args: never[]) => unknown>
type FilterImpl = ThisParameterType<FilterHandler>
type OperatorHandler = (typeof defaultOperators)[string]

/** Liquid with outputs and filters only: no tags, no files, no chance, no clock. */
export const engine = new Liquid({
  strictVariables: true,
  strictFilters: true,
  ownPropertyOnly: true,
  timezoneOffset: 0,
  parseLimit: 64 * 1024,
  renderLimit: renderLimitMs,
  memoryLimit: maxWork,
  // Nothing is read from anywhere.
  templates: {},
  operators: Object.fromEntries(Object.entries(defaultOperators).map(([name, handler]) => [name, measured(handler)])),
  outputEscape: function (this: FilterImpl, value: unknown): string {
    this.context.memoryLimit.use(Array.isArray(value) ? costOf(value) : 0)
    // Nothing is escaped: the type would have a text, and Liquid makes one of whatever it is.
    return value as string
  },
})
for (const tag of Object.keys(engine.tags)) Reflect.deleteProperty(engine.tags, tag)
// Chance has no place in a Secret, which would never be as it should; and expressions in strings hide their variables.
const refusedFilters = /^(?:sample|.*_exp)$/
for (const [name, filter] of Object.entries(engine.filters)) {
  if (refusedFilters.test(name)) engine.unregisterFilter(name)
  else if (typeof filter === 'function') engine.registerFilter(name, guarded(name, filter))
}
// Liquid's own would have the output go past `outputEscape`.
engine.registerFilter('raw', (value: unknown) => value)

/** A scope whose limits count for everything that is rendered with it. */
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
    // What a filter makes longer (url_encode: up to nine times), the next would make longer still.
    if (typeof result === 'string') memoryLimit.check(result.length)
    return result
  }
}

/** Liquid charges a range as if its elements cost nothing; to look for something among a million takes seconds. */
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
