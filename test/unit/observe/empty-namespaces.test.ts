import { describe, expect, it } from 'vitest'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import type { KubernetesClient } from '../../../src/kubernetes/types.ts'
import { createCaches } from '../../../src/observe/caches.ts'
import { warnOfEmptyNamespaces } from '../../../src/observe/empty-namespaces.ts'
import { metadata } from '../../support/builders.ts'
import { readableLog } from '../enos/support.ts'

const caches = createCaches()
caches.secrets.upsert(metadata({ name: 'enos-app' }))
const inUse = metadata({}).namespace

/** The lines at level warn for namespaces with these ConfigMaps; undefined: the API server refuses the list. */
async function warnings(found: Readonly<Record<string, number | undefined>>): Promise<object[]> {
  const { lines, log } = readableLog()
  const list: KubernetesClient['list'] = (_type, namespace = '') => {
    const count = found[namespace]
    if (count === undefined) return Promise.reject(new ApiError('list configmaps', { code: 403, reason: 'Forbidden' }))
    return Promise.resolve({ metadata: {}, items: Array.from({ length: count }, () => ({ metadata: {} }) as never) })
  }
  await warnOfEmptyNamespaces({ list }, caches, Object.keys(found), log)
  return lines.map((line) => JSON.parse(line) as { level: string }).filter(({ level }) => level === 'warn')
}

describe('warnOfEmptyNamespaces', () => {
  it('warnOfEmptyNamespaces names each namespace that has nothing, once', async () => {
    const msg = 'the namespace has no Secret and no ConfigMap: does it exist?'
    expect(await warnings({ 'plant-x': 0, 'plant-y': 0 })).toMatchObject([
      { msg, namespace: 'plant-x' },
      { msg, namespace: 'plant-y' },
    ])
  })

  it('warnOfEmptyNamespaces warns of no namespace with a Secret or ConfigMap, nor of one that it may not look into', async () => {
    expect(await warnings({ [inUse]: 0, 'with-ca': 1, refused: undefined })).toEqual([])
  })
})
