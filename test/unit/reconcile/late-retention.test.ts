import { describe, expect, it, onTestFinished } from 'vitest'
import { managedBy } from '../../../src/api/v1alpha1/names.ts'
import { type KubernetesObject, secrets } from '../../../src/kubernetes/types.ts'
import { createCaches } from '../../../src/observe/caches.ts'
import { parseMetadata } from '../../../src/observe/parse-object.ts'
import { LateRetention } from '../../../src/reconcile/late-retention.ts'
import { TargetWriter } from '../../../src/targets/target-writer.ts'
import { credential } from '../../support/builders.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'
import { MemoryApi } from '../../support/memory-api.ts'
import { readableLog } from '../enos/support.ts'

const namespace = 'plant-a'
const uid = 'uid-a'
const other = { apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'uid-x' }
const owner = { apiVersion: 'enos.io/v1alpha1', kind: 'EnosAppCredential', name: 'a', uid, controller: true }

/** A resource `a` with these targets. */
function resource(targets: readonly object[]) {
  const of = { key: `${namespace}/a`, namespace, name: 'a', uid, resourceVersion: '5' } as const
  return credential({ ...of, spec: { targets } })
}

function setUp() {
  const clock = new FakeClock()
  const api = new MemoryApi(clock, managedBy)
  const user = api.user('kubectl')
  const caches = createCaches()
  const { lines, log } = readableLog()
  const writer = new TargetWriter({ client: api, fieldManager: managedBy, onWrite: () => undefined })
  const retention = new LateRetention({ caches, writer, log })
  onTestFinished(() => retention.shutDown())
  /** A Secret that `a` owns, known to the cache. */
  const addSecret = (name: string, owners: readonly object[] = [other, owner]): KubernetesObject => {
    const created = user.create(secrets, namespace, { metadata: { name, ownerReferences: owners } })
    caches.secrets.upsert(parseMetadata(created))
    return created
  }
  /** The watch brings the resource with the edit, and its deletion right after. */
  const deleteAtOnce = (targets: readonly object[]): void => {
    caches.credentials.upsert(resource(targets))
    caches.credentials.remove(resource(targets))
  }
  const secret = (name: string) => api.find(secrets, { namespace, name })?.metadata
  return { addSecret, api, caches, deleteAtOnce, lines, retention, secret, user }
}

const retained = (name: string): object => ({ name, deletionPolicy: 'Retain' })

describe('LateRetention', () => {
  it('takes the owner reference off a Secret that the last spec of a deleted resource retains', async () => {
    const { addSecret, deleteAtOnce, lines, retention, secret } = setUp()
    addSecret('a-token')
    retention.run()
    deleteAtOnce([retained('a-token')])
    await settle()
    expect(secret('a-token')).toMatchObject({
      ownerReferences: [other],
      annotations: { 'enos.io/credential': 'a', 'enos.io/credential-uid': uid },
    })
    expect(lines.join()).toContain('Secret retained after the deletion of its resource')
    expect(retention.inFlight).toBe(0)
  })

  it('touches no Secret that the last spec deletes, that is retained already, or that another resource owns', async () => {
    const { addSecret, api, deleteAtOnce, retention } = setUp()
    addSecret('deleted')
    addSecret('retained', [])
    addSecret('foreign', [{ ...owner, uid: 'uid-b' }])
    retention.run()
    deleteAtOnce([{ name: 'deleted' }, ...['retained', 'foreign', 'missing'].map(retained)])
    await settle()
    expect(api.calls).toEqual([])
  })

  it('makes no call in a replica that does not lead, or has ended', async () => {
    const { addSecret, api, deleteAtOnce, retention } = setUp()
    addSecret('a-token')
    deleteAtOnce([retained('a-token')])
    retention.run()
    await retention.shutDown()
    deleteAtOnce([retained('a-token')])
    await settle()
    expect(api.calls).toEqual([])
  })

  it('tells of a Secret that the garbage collector has removed first', async () => {
    const { addSecret, deleteAtOnce, lines, retention, user } = setUp()
    addSecret('a-token')
    user.delete(secrets, { namespace, name: 'a-token' })
    retention.run()
    deleteAtOnce([retained('a-token')])
    await settle()
    expect(lines.join()).toContain('deletionPolicy Retain came too late')
  })

  it('retains at most 100 Secrets at a time', async () => {
    const { addSecret, caches, retention, secret } = setUp()
    retention.run()
    for (let at = 0; at < 120; at++) {
      addSecret(`token-${at}`)
      const own = { name: `a${at}`, key: `${namespace}/a${at}`, resourceVersion: String(1000 + at) } as const
      const one = { ...resource([retained(`token-${at}`)]), ...own }
      caches.credentials.upsert(one)
      caches.credentials.remove(one)
    }
    expect(retention.inFlight).toBe(100)
    await settle()
    expect(retention.inFlight).toBe(0)
    const kept = Array.from({ length: 120 }, (_, at) => secret(`token-${at}`)?.ownerReferences?.length)
    expect(kept.filter((owners) => owners === 1)).toHaveLength(100)
  })
})
