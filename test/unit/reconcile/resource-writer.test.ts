import { describe, expect, it } from 'vitest'
import { apiVersion, kind, managedBy } from '../../../src/api/v1alpha1/names.ts'
import { parseLabelSelector } from '../../../src/config/label-selector.ts'
import { credentials } from '../../../src/kubernetes/types.ts'
import { createCaches } from '../../../src/observe/caches.ts'
import { parseCredential } from '../../../src/observe/parse-object.ts'
import { ResourceWriter } from '../../../src/reconcile/resource-writer.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { MemoryApi } from '../../support/memory-api.ts'

const ref = { namespace: 'plant-a', name: 'one' }
const key = 'plant-a/one'

/** A credential with the label shard=a, stored by an operator with the selector shard=a. */
function setUp() {
  const api = new MemoryApi(new FakeClock(), managedBy)
  const user = api.user('kubectl')
  const body = { apiVersion, kind, metadata: { name: ref.name, labels: { shard: 'a' } }, spec: {} }
  const credential = parseCredential(user.create(credentials, ref.namespace, body))
  const caches = createCaches(parseLabelSelector('shard=a'))
  caches.credentials.upsert(credential)
  const writer = new ResourceWriter({ client: api, caches })
  const relabel = (labels: Record<string, string>) => user.patch(credentials, ref, { metadata: { labels } })
  const write = () => writer.setFinalizers(credential, ['enos.io/merge-cleanup'], new AbortController().signal)
  return { api, caches, credential, relabel, write }
}

describe('ResourceWriter', () => {
  it('a conflict stores the version of another writer', async () => {
    const { caches, relabel, write } = setUp()
    const { metadata } = relabel({ other: 'x' })
    expect(await write()).toBeUndefined()
    expect(caches.credentials.get(key)?.resourceVersion).toBe(metadata.resourceVersion)
  })

  it('a conflict with a writer that ended the selection removes the credential from the store', async () => {
    const { api, caches, relabel, write } = setUp()
    relabel({ shard: 'b' })
    expect(await write()).toBeUndefined()
    expect(caches.credentials.get(key)).toBeUndefined()
    expect(api.find(credentials, ref)?.metadata.finalizers).toBeUndefined()
  })

  it('the answer to a write does not bring back a credential that the watch has removed', async () => {
    const { api, caches, credential, write } = setUp()
    api.listen(() => {
      caches.credentials.remove(credential)
    })
    expect(await write()).toBeUndefined()
    expect(caches.credentials.get(key)).toBeUndefined()
  })
})
