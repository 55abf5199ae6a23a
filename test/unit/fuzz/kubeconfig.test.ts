import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { chooseKubeconfig, currentNamespace } from '../../../src/kubernetes/kubeconfig.ts'
import { KubeconfigError } from '../../../src/kubernetes/kubeconfig-error.ts'
import { marker } from '../../support/builders.ts'

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kubeconfig-fuzz-'))
})
afterAll(() => {
  rmSync(directory, { recursive: true })
})

const anyValue = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom(null, '', 'c', 'https://127.0.0.1:6443', marker.token, 123, [], {}),
)
const good = {
  apiVersion: 'v1',
  kind: 'Config',
  'current-context': 'c',
  clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:6443', extensions: [] } }],
  users: [{ name: 'c', user: { token: marker.token, as: 'jane', 'as-groups': [], 'as-uid': '', 'as-user-extra': {} } }],
  contexts: [{ name: 'c', context: { cluster: 'c', user: 'c', namespace: 'plant-a' } }],
}
const lists = fc.constantFrom('clusters', 'users', 'contexts', 'current-context', 'kind')
const fields = fc.constantFrom(
  'name',
  'cluster',
  'user',
  'context',
  'server',
  'token',
  'namespace',
  'proxy-url',
  'exec',
  'tokenFile',
  'as',
  'as-groups',
  'as-uid',
  'as-user-extra',
  'certificate-authority',
  'client-key',
  'extensions',
)
/** A valid kubeconfig with some values replaced. */
const mutated = fc
  .array(fc.tuple(lists, fc.option(fields), anyValue), { minLength: 1, maxLength: 3 })
  .map((changes) => {
    const config = structuredClone(good) as unknown as Record<string, unknown>
    for (const [list, field, value] of changes) {
      const first = (config[list] as unknown[] | undefined)?.[0]
      const inner = isRecord(first) ? Object.values(first).find(isRecord) : undefined
      if (field === null || !isRecord(first)) config[list] = structuredClone(value)
      else if (Object.hasOwn(first, field)) first[field] = structuredClone(value)
      else if (inner !== undefined) inner[field] = structuredClone(value)
    }
    return stringify(config)
  })
const texts = fc.oneof(
  mutated,
  mutated,
  fc.string({ unit: 'binary' }),
  anyValue.map((value) => stringify(value)),
)

it('the load of chooseKubeconfig returns a usable kubeconfig or fails in one line that quotes nothing of the file', () => {
  const file = join(directory, 'config')
  fc.assert(
    fc.property(texts, (text) => {
      writeFileSync(file, text)
      try {
        const config = chooseKubeconfig({ environment: { KUBECONFIG: file } }).load()
        expect(config.getCurrentCluster()?.server).toMatch(/^https?:/)
        expect(typeof currentNamespace(config)).toBe('string')
      } catch (error) {
        if (!(error instanceof KubeconfigError)) throw error
        // The path of a file that does not exist is quoted, and nothing else.
        expect(error.message.replaceAll(join(directory, marker.token), '')).not.toContain(marker.token)
        expect(error.message).not.toMatch(/[\n\r]/)
        expect(error.message).toContain(file)
      }
    }),
    { numRuns: 2000 },
  )
})

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
