import { describe, expect, it } from 'vitest'
import { parseLabelSelector } from '../../../src/config/label-selector.ts'
import { createCaches, findByUid } from '../../../src/observe/caches.ts'
import { restarted } from '../../support/builders.ts'

const { credential } = restarted()
const { namespace } = credential

describe('findByUid', () => {
  it('a credential is found as soon as either watch has brought it', () => {
    const caches = createCaches(parseLabelSelector('shard=a'))
    caches.credentials.upsert({ ...credential, key: `${namespace}/selected`, name: 'selected', uid: 'uid-selected' })
    caches.everyCredential?.upsert({ namespace, name: 'other', uid: 'uid-other', resourceVersion: '1' })
    expect(['uid-selected', 'uid-other', 'uid-gone'].map((uid) => findByUid(caches, uid)?.name)).toEqual([
      'selected',
      'other',
      undefined,
    ])
  })
})
