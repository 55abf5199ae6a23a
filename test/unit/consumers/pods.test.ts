import { describe, expect, it } from 'vitest'
import { type Pod, podOwner, secretUse } from '../../../src/consumers/pods.ts'

type Spec = NonNullable<Pod['spec']>

const volumes = [{ name: 'v', secret: { secretName: 'enos-token' } }]
const live = { volumeMounts: [{ name: 'v' }] }
const subPath = { volumeMounts: [{ name: 'v', subPath: 'accessToken' }] }
const environment = { env: [{ valueFrom: { secretKeyRef: { name: 'enos-token' } } }] }

function use(spec: Spec, metadata: Pod['metadata'] = {}): { isLive: boolean; isFixed: boolean } {
  const { fixed, live } = secretUse({ metadata, spec })
  return { isLive: live.has('enos-token'), isFixed: fixed.has('enos-token') }
}

describe('secretUse', () => {
  it.each<[string, Spec, ReturnType<typeof use>]>([
    ['a volume', { volumes, containers: [live] }, { isLive: true, isFixed: false }],
    [
      'a projected volume',
      {
        volumes: [{ name: 'v', projected: { sources: [{}, { secret: { name: 'enos-token' } }] } }],
        containers: [live],
      },
      { isLive: true, isFixed: false },
    ],
    ['a volume that is not mounted', { volumes, containers: [{}] }, { isLive: false, isFixed: false }],
    [
      'a volume of another Secret',
      { volumes: [{ name: 'v', secret: { secretName: 'other' } }], containers: [live] },
      { isLive: false, isFixed: false },
    ],
    ['a subPath', { volumes, containers: [subPath] }, { isLive: false, isFixed: true }],
    [
      'a subPathExpr',
      { volumes, containers: [{ volumeMounts: [{ name: 'v', subPathExpr: '$(KEY)' }] }] },
      { isLive: false, isFixed: true },
    ],
    ['a variable', { containers: [environment] }, { isLive: false, isFixed: true }],
    [
      'all keys as variables',
      { containers: [{ envFrom: [{}, { secretRef: { name: 'enos-token' } }] }] },
      { isLive: false, isFixed: true },
    ],
    ['a variable beside a volume', { volumes, containers: [environment, live] }, { isLive: true, isFixed: true }],
    [
      'an init container, which has ended',
      { volumes, initContainers: [subPath, environment, live], containers: [{}] },
      { isLive: false, isFixed: false },
    ],
    [
      'a volume of a sidecar',
      { volumes, initContainers: [{ restartPolicy: 'Always', ...live }], containers: [{}] },
      { isLive: true, isFixed: false },
    ],
    [
      'the environment of a sidecar',
      { initContainers: [{ restartPolicy: 'Always', ...environment }], containers: [{}] },
      { isLive: false, isFixed: true },
    ],
    ['a pod without Secrets', {}, { isLive: false, isFixed: false }],
  ])('classifies %s', (_, spec, expected) => {
    expect(use(spec)).toEqual(expected)
  })

  it('finds no use in a pod that is being deleted', () => {
    const metadata = { deletionTimestamp: '2026-01-01T00:00:00Z' }
    expect(use({ volumes, containers: [live, environment] }, metadata)).toEqual({ isLive: false, isFixed: false })
  })
})

describe('podOwner', () => {
  const owned = (kind: string, name: string, labels = {}): Pod => ({
    metadata: { labels, ownerReferences: [{ apiVersion: 'apps/v1', kind, name, uid: 'u', controller: true }] },
  })

  it('is the Deployment of its ReplicaSet', () => {
    expect(podOwner(owned('ReplicaSet', 'reports-5d8f', { 'pod-template-hash': '5d8f' }))).toEqual({
      kind: 'Deployment',
      name: 'reports',
    })
  })

  it('is the ReplicaSet where no Deployment made that', () => {
    expect(podOwner(owned('ReplicaSet', 'reports'))).toEqual({ kind: 'ReplicaSet', name: 'reports' })
    expect(podOwner(owned('StatefulSet', 'db'))).toEqual({ kind: 'StatefulSet', name: 'db' })
  })

  it('is undefined for a pod without a controller', () => {
    expect(podOwner({ metadata: {} })).toBeUndefined()
  })
})
