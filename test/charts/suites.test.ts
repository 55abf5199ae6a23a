import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { stringify } from 'yaml'
import { leavesOf, type ValueSchema, valuesJsonSchema } from '../../tools/helm/chart-files.ts'
import { runToEnd } from '../support/run.ts'
import { chart } from './manifests.ts'

/** A value that the schema must refuse, and how. */
interface Refusal {
  readonly path: string
  readonly value: unknown
  /** Of the message. */
  readonly pattern: string
}

/** For each value one of a wrong type, and one beyond each bound. */
function refusalsOf(path: string, schema: ValueSchema): Refusal[] {
  const refusals: Refusal[] = []
  const refuse = (value: unknown, pattern: string): void => void refusals.push({ path, value, pattern })
  for (const type of schema.anyOf?.map((one) => one.type) ?? [schema.type]) {
    if (type === 'boolean') refuse('yes', 'got string, want boolean')
    if (type === 'array') refuse('text', 'got string, want array')
    if (type === 'object') refuse('text', 'got string, want object')
    if (type === 'integer' && schema.anyOf === undefined) refuse('many', 'got string, want integer')
    if (type === 'string' && schema.enum === undefined) refuse(true, 'got boolean, want')
  }
  if (schema.enum !== undefined) refuse('Bogus', 'value must be one of')
  if (schema.pattern !== undefined) refuse('NOT: LIKE THIS', 'does not match pattern')
  if (schema.minimum !== undefined) refuse(schema.minimum - 1, 'minimum')
  if (schema.maximum !== undefined) refuse(schema.maximum + 1, 'maximum')
  if (schema.minLength !== undefined) refuse('', 'minLength')
  if (schema.minItems !== undefined) refuse([], 'minItems')
  const item = schema.items?.type
  if (item !== undefined) {
    refuse([item === 'integer' ? 'text' : 7], `got ${item === 'integer' ? 'string' : 'number'}, want ${item}`)
  }
  const values = schema.additionalProperties
  if (typeof values === 'object' && values.type === 'string') refuse({ key: 7 }, 'got number, want string')
  return refusals
}

/** Objects in which an unknown key is refused. */
function closedObjects(schema: ValueSchema, path: readonly string[] = []): string[] {
  if (schema.properties === undefined) return []
  const below = Object.entries(schema.properties).flatMap(([name, one]) => closedObjects(one, [...path, name]))
  return schema.additionalProperties === false ? [path.join('.'), ...below] : below
}

function allRefusals(): Refusal[] {
  const schema = valuesJsonSchema()
  const unknown = closedObjects(schema).map((path) => ({
    path: path === '' ? 'misspelt' : `${path}.misspelt`,
    value: true,
    pattern: "additional properties 'misspelt' not allowed",
  }))
  return [...leavesOf(schema).flatMap((leaf) => refusalsOf(leaf.path.join('.'), leaf.schema)), ...unknown]
}

let directory: string

beforeAll(async () => {
  // helm-unittest writes beside the cases.
  directory = await mkdtemp(join(tmpdir(), 'chart-'))
  await cp(chart, directory, { recursive: true })
})

afterAll(async () => {
  await rm(directory, { recursive: true })
})

/** @returns how many tests passed, and all output */
async function unittest(folder: string): Promise<{ passed: number; failed: number; output: string }> {
  const { code, stderr, stdout } = await runToEnd(join(inject('chartPrograms'), 'helm-unittest'), ['--strict', folder])
  const output = stdout + stderr
  const [, total] = /^Tests:\s.*?(\d+) total$/m.exec(output) ?? []
  const [, failed = '0'] = /^Tests:\s+(\d+) failed/m.exec(output) ?? []
  if (total === undefined || (code !== 0 && failed === '0')) throw new Error(output)
  return { passed: Number(total) - Number(failed), failed: Number(failed), output }
}

describe('the chart', () => {
  it('passes its cases for helm-unittest', async () => {
    const { failed, output, passed } = await unittest(directory)
    expect(failed, output).toBe(0)
    expect(passed).toBeGreaterThan(70)
  })

  it('refuses values of a wrong type, beyond a bound, and of an unknown name', async () => {
    const refusals = allRefusals()
    expect(refusals.length).toBeGreaterThan(150)
    const suite = {
      suite: 'refusals',
      templates: ['templates/deployment.yaml'],
      tests: refusals.map(({ path, pattern, value }) => ({
        it: `refuses ${path}: ${JSON.stringify(value)}`,
        set: { [path]: value },
        asserts: [{ failedTemplate: { errorPattern: pattern } }],
      })),
    }
    for (const file of await readdir(join(directory, 'tests'))) {
      await rm(join(directory, 'tests', file), { recursive: true })
    }
    await writeFile(join(directory, 'tests/refusals_test.yaml'), stringify(suite))
    const { failed, output, passed } = await unittest(directory)
    expect(failed, output).toBe(0)
    expect(passed).toBe(refusals.length)
  })
})
