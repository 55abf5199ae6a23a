import { describe, expect, it } from 'vitest'
import type { CredentialStatus } from '../../../src/api/v1alpha1/status-schema.ts'
import { parseLabelSelector } from '../../../src/config/label-selector.ts'
import { awaitingDeletionOf, createCaches, findByUid } from '../../../src/observe/caches.ts'
import { restarted } from '../../support/builders.ts'

const { credential } = restarted()
const { namespace } = credential

function credentialOf(name: string, reason: string, of: { readonly namespace?: string } = {}) {
  const place = of.namespace ?? namespace
  const condition = { type: 'Ready', status: 'False', reason, message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }
  const status = { ...credential.status, conditions: [condition] } as CredentialStatus
  return { ...credential, namespace: place, name, key: `${place}/${name}` as const, uid: `uid-${name}`, status }
}

describe('awaitingDeletionOf', () => {
  it('credentials with a conflict in the same namespace may have waited', () => {
    const caches = createCaches(parseLabelSelector('shard=a'))
    caches.credentials.upsert(credentialOf('conflict', 'TargetConflict'))
    caches.credentials.upsert(credentialOf('synced', 'Synced'))
    caches.credentials.upsert(credentialOf('elsewhere', 'TargetConflict', { namespace: 'other' }))
    expect(awaitingDeletionOf(`${namespace}/of-b`, caches)).toEqual([`${namespace}/conflict`])
  })

  it('a credential that was made anew under the same name may have waited', () => {
    const caches = createCaches(parseLabelSelector('shard=a'))
    caches.credentials.upsert(credentialOf('anew', 'Progressing'))
    expect(awaitingDeletionOf(`${namespace}/anew`, caches)).toEqual([`${namespace}/anew`])
  })
})

describe('findByUid', () => {
  it('a credential is found as soon as either watch has brought it', () => {
    const caches = createCaches(parseLabelSelector('shard=a'))
    caches.credentials.upsert(credentialOf('selected', 'Synced'))
    caches.everyCredential?.upsert({ namespace, name: 'other', uid: 'uid-other', resourceVersion: '1' })
    expect(['uid-selected', 'uid-other', 'uid-gone'].map((uid) => findByUid(caches, uid)?.name)).toEqual([
      'selected',
      'other',
      undefined,
    ])
  })
})
