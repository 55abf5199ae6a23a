import { describe, expect, it } from 'vitest'
import { mayPrecede, type Pod, podOwner, type PodSpec, secretUses } from '../../../src/consumers/pods.ts'

type Kinds = Partial<Record<'live' | 'fixed' | 'init', boolean>>

const volumes = [{ name: 'v', secret: { secretName: 'enos-token' } }]
const live = { volumeMounts: [{ name: 'v' }] }
const subPath = { volumeMounts: [{ name: 'v', subPath: 'accessToken' }] }
const environment = { env: [{ valueFrom: { secretKeyRef: { name: 'enos-token' } } }] }

/** The kinds of use of the target, each with whether it is optional. */
function kindsOf(spec: PodSpec): Kinds {
  const uses = secretUses(spec).filter(({ secret }) => secret === 'enos-token')
  return Object.fromEntries(uses.map(({ isOptional, kind }) => [kind, isOptional]))
}

describe('secretUses', () => {
  it.each<[string, PodSpec, Kinds]>([
    ['a volume', { volumes, containers: [live] }, { live: false }],
    [
      'a projected volume',
      {
        volumes: [{ name: 'v', projected: { sources: [{}, { secret: { name: 'enos-token' } }] } }],
        containers: [live],
      },
      { live: false },
    ],
    ['a volume that is not mounted', { volumes, containers: [{}] }, {}],
    [
      'a volume of another Secret',
      { volumes: [{ name: 'v', secret: { secretName: 'other' } }], containers: [live] },
      {},
    ],
    ['a subPath', { volumes, containers: [subPath] }, { fixed: false }],
    [
      'a subPathExpr',
      { volumes, containers: [{ volumeMounts: [{ name: 'v', subPathExpr: '$(KEY)' }] }] },
      { fixed: false },
    ],
    ['a variable', { containers: [environment] }, { fixed: false }],
    [
      'all keys as variables',
      { containers: [{ envFrom: [{}, { secretRef: { name: 'enos-token' } }] }] },
      { fixed: false },
    ],
    ['a variable beside a volume', { volumes, containers: [environment, live] }, { fixed: false, live: false }],
    ['a volume of an init container', { volumes, initContainers: [live], containers: [{}] }, { init: false }],
    ['the environment of an init container', { initContainers: [environment], containers: [{}] }, { init: false }],
    [
      'an optional volume',
      { volumes: [{ name: 'v', secret: { secretName: 'enos-token', optional: true } }], containers: [live] },
      { live: true },
    ],
    [
      'an optional source of a projected volume',
      {
        volumes: [{ name: 'v', projected: { sources: [{ secret: { name: 'enos-token', optional: true } }] } }],
        containers: [subPath],
      },
      { fixed: true },
    ],
    [
      'an optional variable',
      { containers: [{ env: [{ valueFrom: { secretKeyRef: { name: 'enos-token', optional: true } } }] }] },
      { fixed: true },
    ],
    [
      'all keys as variables, optional',
      { containers: [{ envFrom: [{ secretRef: { name: 'enos-token', optional: true } }] }] },
      { fixed: true },
    ],
    [
      'a volume of a sidecar',
      { volumes, initContainers: [{ restartPolicy: 'Always', ...live }], containers: [{}] },
      { live: false },
    ],
    [
      'the environment of a sidecar',
      { initContainers: [{ restartPolicy: 'Always', ...environment }], containers: [{}] },
      { fixed: false },
    ],
    ['a pod without Secrets', {}, {}],
  ])('classifies %s', (_, spec, expected) => {
    expect(kindsOf(spec)).toEqual(expected)
  })
})

describe('mayPrecede', () => {
  const writtenAt = Date.parse('2026-01-01T12:00:10Z')
  const running = (startedAt: string) => ({ containerStatuses: [{ name: 'c', state: { running: { startedAt } } }] })
  it.each<[string, NonNullable<Pod['status']>, boolean]>([
    ['started before the write', running('2026-01-01T12:00:09Z'), true],
    ['started in the second of the write', running('2026-01-01T12:00:10Z'), true],
    ['started after the write', running('2026-01-01T12:00:11Z'), false],
    ['waits', { containerStatuses: [{ name: 'c', state: {} }] }, false],
    ['has no status yet', { containerStatuses: [{ name: 'other', state: {} }] }, false],
    [
      'is an init container that ran before the write',
      {
        containerStatuses: [{ name: 'other', state: {} }],
        initContainerStatuses: [{ name: 'c', state: { terminated: { startedAt: '2026-01-01T12:00:00Z' } } }],
      },
      true,
    ],
    ['is of a pod that cannot be scheduled', { conditions: [{ type: 'PodScheduled', status: 'False' }] }, false],
    ['is of a pod without any status', {}, true],
  ])('is decided for a container that %s', (_, status, expected) => {
    expect(mayPrecede({ metadata: {}, status }, 'c', writtenAt)).toBe(expected)
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

  it.each([
    ['Text with spaces', 'reports'],
    ['ReplicaSet', `reports\nfix: rm -rf /`],
    ['ReplicaSet', 'a'.repeat(254)],
  ])('is undefined for a reference with any text: %j %j', (kind, name) => {
    expect(podOwner(owned(kind, name))).toBeUndefined()
  })

  it('is undefined for a pod without a controller', () => {
    expect(podOwner({ metadata: {} })).toBeUndefined()
  })
})
