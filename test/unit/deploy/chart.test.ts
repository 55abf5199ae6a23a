import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { runFlags } from '../../../src/config/flags.ts'
import { leavesOf, valuesJsonSchema } from '../../../tools/helm/chart-files.ts'
import { valuesSchema } from '../../../tools/helm/values-schema.ts'

const chart = fileURLToPath(new URL('../../../deploy/helm/enos-credential-operator/', import.meta.url))

function read(path: string): string {
  return readFileSync(`${chart}${path}`, 'utf8')
}

function textsOf(folder: string): string {
  return readdirSync(`${chart}${folder}`)
    .map((file) => read(`${folder}/${file}`))
    .join('\n')
}

const leaves = leavesOf(valuesJsonSchema())
const paths = leaves.map(({ path }) => path.join('.'))
/** Read by helm in the parent chart, by no template. */
const withoutTemplate = ['enabled']
/** Names under which templates have what they were handed. */
const handedOn = ['with ', 'honorLabels: {{ ', '$values', '$.to', '.to']

/** Whether a template reads the value, or hands its parent to another template that reads it. */
function isUsed(path: string, templates: string): boolean {
  const at = path.lastIndexOf('.')
  const [parent, name] = [path.slice(0, at), path.slice(at + 1)]
  const has = (expression: string): boolean => {
    const rests = templates.split(expression).slice(1)
    return rests.some((rest) => !/^[\w.]/.test(rest))
  }
  return has(`.Values.${path}`) || (at > 0 && has(`.Values.${parent}`) && handedOn.some((one) => has(`${one}.${name}`)))
}

interface Suite {
  readonly tests: readonly { readonly it: string; readonly set?: Readonly<Record<string, unknown>> }[]
}

/** Paths of all values that the cases of a suite set. */
function pathsSetIn(file: string): string[] {
  const { tests } = parse(read(`tests/${file}`)) as Suite
  return tests.flatMap(({ set = {} }) => flattened('', set))
}

function flattened(path: string, node: unknown): string[] {
  if (typeof node !== 'object' || node === null || Array.isArray(node) || Object.keys(node).length === 0) return [path]
  return Object.entries(node).flatMap(([key, below]) => flattened(path === '' ? key : `${path}.${key}`, below))
}

describe('the values of the chart', () => {
  it('have in values.yaml the defaults of the schema', () => {
    expect(parse(read('values.yaml'))).toEqual(valuesSchema.parse({}))
  })

  it('are at least those that the issue lists', () => {
    expect(leaves.length).toBeGreaterThan(85)
  })

  it.each(paths.filter((path) => !withoutTemplate.includes(path)))('%s is used by a template', (path) => {
    expect(isUsed(path, textsOf('templates'))).toBe(true)
  })

  it('is not used by a template when no template names it', () => {
    expect(isUsed('metrics.service.color', textsOf('templates'))).toBe(false)
    expect(isUsed('color', textsOf('templates'))).toBe(false)
  })

  const suites = readdirSync(`${chart}tests`).filter((file) => file.endsWith('_test.yaml'))
  const setPaths = suites.flatMap(pathsSetIn)
  it.each(paths)('%s is set by a case for helm-unittest', (path) => {
    expect(setPaths.some((set) => set === path || set.startsWith(`${path}.`))).toBe(true)
  })

  it.each(leaves.map(({ path, schema }) => [path.join('.'), schema.description] as const))(
    '%s has a description that is a sentence',
    (_, description) => {
      expect(description).toMatch(/^[A-Z`].*[.)]$/)
    },
  )

  it('have patterns that Go can read', () => {
    const patterns = [...JSON.stringify(valuesJsonSchema()).matchAll(/"pattern":"([^"]*)"/g)].map(([, text]) => text)
    expect(patterns.length).toBeGreaterThan(5)
    expect(patterns.filter((pattern) => pattern?.includes('(?') === true)).toEqual([])
  })
})

describe('the command line of the chart', () => {
  it('names only flags that the operator has', () => {
    const flags = [...textsOf('templates').matchAll(/--([a-z-]+)=/g)].map(([, flag]) => flag)
    expect(flags.length).toBeGreaterThan(5)
    expect(runFlags.map(({ name }) => name)).toEqual(expect.arrayContaining(flags))
  })

  it.each([
    ['metrics-bind-address', ':8080', `ne (int .Values.metrics.listen.port) 8080`],
    ['health-probe-bind-address', ':8081', `ne (int .Values.healthProbe.port) 8081`],
    ['leader-elect-lease-name', 'enos-credential-operator', `.) "enos-credential-operator"`],
    ['log-level', 'info', `ne .Values.log.level "info"`],
    ['log-format', 'json', `ne .Values.log.format "json"`],
  ])('leaves --%s out where it has its default %s', (flag, initial, condition) => {
    expect(runFlags.find(({ name }) => name === flag)?.default).toBe(initial)
    expect(read('templates/_container.tpl')).toContain(condition)
  })
})
