import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { fingerprintOf } from '../../src/enos/signature.ts'
import { type ApiConnection, connect } from '../../src/kubernetes/connect.ts'
import { ApiError } from '../../src/kubernetes/errors.ts'
import { credentials, events, type KubernetesObject, secrets } from '../../src/kubernetes/types.ts'
import { SystemClock } from '../../src/lib/clock.ts'
import { decodeKey, type Secret } from '../../src/targets/secret.ts'
import { type CredentialObject, delay, eventually, useHarness } from './harness.ts'
import type { OperatorProcess } from './operator-process.ts'
import { type ObjectVersion, VersionLog } from './version-log.ts'

const harness = useHarness()
const rival = 'rival-controller'
const forged = Buffer.from('forged').toString('base64')
/** How long each contest goes on. */
const contestMs = 30_000

type Interfere = (present: Secret) => Promise<unknown>

/** How another writer reverts a write of the operator. */
interface Scenario {
  readonly interfere: Interfere
  /** Whether the target loses the token, and not only other parts. */
  readonly isTokenLost: boolean
  /** Whether the writer can be known: a deletion leaves no managedFields. */
  readonly isNamed: boolean
  readonly spec?: object
}

let connection: ApiConnection
let operator: OperatorProcess
let gateway: Simulator
let namespace: string
let targetVersions: VersionLog<Secret>
let statusVersions: VersionLog<CredentialObject>
const interferences = new Map<string, Interfere>()
/** When the contest of each Secret began, ms on the monotonic clock. */
const contestedSince = new Map<string, number>()
/** When the tests and the other writer changed a Secret, ms on the monotonic clock. */
const rivalWrites = new Map<string, number[]>()

function count(name: string): void {
  rivalWrites.set(name, [...(rivalWrites.get(name) ?? []), performance.now()])
}

/** The end of a Secret's contest: those of the others, which began after it, go on. */
function endOf(name: string): number {
  return (contestedSince.get(`${name}-token`) ?? 0) + contestMs
}

async function patch({ metadata: { name = '' } }: Secret, body: object): Promise<void> {
  await connection.client.patch(secrets, { namespace, name }, { type: 'merge', body })
  count(name)
}

async function forgeToken(present: Secret): Promise<void> {
  if (present.data?.['accessToken'] !== forged) await patch(present, { data: { accessToken: forged } })
}

const scenarios: Record<string, Scenario> = {
  data: { isTokenLost: true, isNamed: true, interfere: forgeToken },
  labels: {
    isTokenLost: false,
    isNamed: true,
    interfere: async (present) => {
      if (present.metadata.labels?.['enos.io/credential'] === 'x') return
      await patch(present, { metadata: { labels: { 'enos.io/credential': 'x' } } })
    },
  },
  annotations: {
    isTokenLost: false,
    isNamed: true,
    interfere: async (present) => {
      if (present.metadata.annotations?.['enos.io/expires-at'] === 'x') return
      await patch(present, { metadata: { annotations: { 'enos.io/expires-at': 'x' } } })
    },
  },
  type: {
    isTokenLost: true,
    isNamed: true,
    interfere: async ({ metadata, type, data }) => {
      if (type === 'example.com/other') return
      const { name = '', labels, annotations, ownerReferences } = metadata
      await connection.client.delete(secrets, { namespace, name })
      count(name)
      const body = { metadata: { name, labels, annotations, ownerReferences }, type: 'example.com/other', data }
      await connection.client.create(secrets, namespace, body)
      count(name)
    },
  },
  deletion: {
    isTokenLost: true,
    isNamed: false,
    interfere: async ({ metadata: { name = '' } }) => {
      await connection.client.delete(secrets, { namespace, name })
      count(name)
    },
  },
  merged: {
    isTokenLost: true,
    isNamed: true,
    spec: { targets: [{ name: 'merged-token', creationPolicy: 'Merge' }] },
    interfere: forgeToken,
  },
  applied: {
    isTokenLost: true,
    isNamed: true,
    spec: { targets: [{ name: 'applied-token', creationPolicy: 'Merge' }] },
    interfere: async ({ metadata: { name = '' }, data }) => {
      if (data?.['accessToken'] === undefined || data['accessToken'] === forged) return
      const body = { apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name }, data: { accessToken: forged } }
      const apply = { type: 'apply', body, fieldManager: rival, force: true } as const
      await connection.client.patch(secrets, { namespace, name }, apply)
      count(name)
    },
  },
}

/** The other writer: it reacts to each version of the Secrets. */
function react({ object, type }: ObjectVersion<Secret>): void {
  const name = object.metadata.name ?? ''
  const interfere = interferences.get(name)
  if (type === 'DELETED' || interfere === undefined) return
  void interfere(object).catch((error: unknown) => {
    // The Secret has changed again: the next version is about that.
    if (!(error instanceof ApiError)) throw error
  })
}

/** Changes of a resource's target that the operator made: each write of either writer is one change. */
function operatorWrites(name: string): number {
  const changes = targetVersions.of(`${name}-token`).filter(({ atMs }) => atMs < endOf(name))
  const theirs = (rivalWrites.get(`${name}-token`) ?? []).filter((atMs) => atMs < endOf(name))
  return changes.length - theirs.length
}

/** When a Secret first held each token, by its fingerprint, ms on the monotonic clock. */
function writeTimes(name: string): ReadonlyMap<string, number> {
  const times = new Map<string, number>()
  for (const { object, atMs } of targetVersions.of(name)) {
    const token = decodeKey(object, 'accessToken')
    const fingerprint = token === undefined ? undefined : fingerprintOf(token)
    if (fingerprint !== undefined && !times.has(fingerprint)) times.set(fingerprint, atMs)
  }
  return times
}

async function contestEvents(name: string): Promise<{ reason?: string; note?: string }[]> {
  const { items } = await harness().admin.list<
    KubernetesObject & { regarding?: { name?: string }; reason?: string; note?: string }
  >(events, namespace)
  return items.filter(({ regarding, reason }) => regarding?.name === name && reason === 'TargetContested')
}

beforeAll(async () => {
  connection = connect({
    kubeconfig: { environment: { KUBECONFIG: harness().access.kubeconfig } },
    clock: new SystemClock(),
    userAgent: rival,
    fieldManager: rival,
  })
  gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  namespace = await harness().namespace()
  const client = harness().admin
  targetVersions = await VersionLog.start<Secret>({ client, type: secrets, namespace, onVersion: react })
  statusVersions = await VersionLog.start<CredentialObject>({ client, type: credentials, namespace })
  operator = await (await harness().operator()).working()
})

afterAll(async () => {
  interferences.clear()
  await targetVersions.stop()
  await statusVersions.stop()
  await connection.close()
})

describe('a target that another writer reverts at each change', () => {
  beforeAll(async () => {
    for (const [name, { interfere, spec }] of Object.entries(scenarios)) {
      const keys = harness().keys()
      gateway.service.addApplication(keys)
      if (spec !== undefined) {
        await harness().createSecret(namespace, `${name}-token`, { own: 'value' })
        count(`${name}-token`)
      }
      await harness().createCredential(namespace, name, gateway, keys, { ...spec })
      await harness().expectReady(namespace, name)
      interferences.set(`${name}-token`, interfere)
      contestedSince.set(`${name}-token`, performance.now())
      // The first interference; each further one answers a write of the operator.
      const present = await harness().getSecret(namespace, `${name}-token`)
      if (present !== undefined) react({ type: 'MODIFIED', object: present, atMs: performance.now() })
    }
    await delay(contestMs)
  })

  it.each(Object.entries(scenarios))('%s: the operator writes a contested target at most 12 times in 30 s', (name) => {
    expect(operatorWrites(name)).toBeLessThanOrEqual(12)
    expect(operatorWrites(name)).toBeGreaterThan(3)
  })

  it.each(Object.entries(scenarios))(
    '%s: the resource of a contested target is written at most 8 times in 30 s',
    (name) => {
      expect(statusVersions.of(name).filter(({ atMs }) => atMs < endOf(name)).length).toBeLessThanOrEqual(8)
    },
  )

  it.each(Object.entries(scenarios))(
    '%s: one event tells of a contest, with the other writer',
    async (name, { isNamed }) => {
      const told = await contestEvents(name)
      expect(told).toHaveLength(1)
      expect(told[0]?.note).toContain(isNamed ? `Secret ${name}-token (by ${rival})` : `Secret ${name}-token;`)
    },
  )

  it.each(Object.entries(scenarios))(
    '%s: Ready is False where another writer removes the token',
    async (name, { isTokenLost }) => {
      const expected = isTokenLost ? 'False/TargetContested' : 'True/Synced'
      expect(await harness().condition(namespace, name, 'Ready')).toBe(expected)
    },
  )

  it('enos_credential_contested_targets counts contested targets', async () => {
    for (const name of Object.keys(scenarios)) {
      const labels = { namespace, name }
      expect([name, await operator.metric('enos_credential_contested_targets', labels)]).toEqual([name, 1])
    }
  })

  it('a contested target holds the token again, and is Ready, once the other writer has stopped', async () => {
    interferences.clear()
    for (const name of Object.keys(scenarios)) {
      await harness().expectReady(namespace, name, 90_000)
      await eventually(async () => {
        const { status } = await harness().getCredential(namespace, name)
        const present = await harness().getSecret(namespace, `${name}-token`)
        const token = present === undefined ? undefined : decodeKey(present, 'accessToken')
        expect(token && fingerprintOf(token)).toBe(status?.tokenFingerprint)
        expect(present?.metadata.labels?.['enos.io/credential'] ?? name).toBe(name)
      }, 60_000)
    }
  }, 120_000)
})

describe('a contested target at a renewal', () => {
  it('a contested target gets each new token at once', async () => {
    const short = await harness().gateway({ lifetimeSeconds: 15, doesRefreshChangeToken: true })
    const keys = harness().keys()
    short.service.addApplication(keys)
    await harness().createCredential(namespace, 'short', short, keys)
    await harness().expectReady(namespace, 'short')
    interferences.set('short-token', forgeToken)
    await patch((await harness().getSecret(namespace, 'short-token')) ?? { metadata: {} }, {
      data: { accessToken: forged },
    })
    await delay(40_000)
    expect(await harness().condition(namespace, 'short', 'Ready')).toBe('False/TargetContested')
    interferences.delete('short-token')
    const issued = new Map<string, number>()
    for (const { fingerprint, atMs } of short.calls) {
      // The clock of the gateway began at the wall clock.
      if (fingerprint !== undefined && !issued.has(fingerprint)) issued.set(fingerprint, atMs - performance.timeOrigin)
    }
    expect(issued.size).toBeGreaterThan(3)
    // The last one may have been issued a moment ago.
    await eventually(() =>
      expect([...writeTimes('short-token').keys()]).toEqual(expect.arrayContaining([...issued.keys()])),
    )
    for (const [fingerprint, at] of issued) {
      expect((writeTimes('short-token').get(fingerprint) ?? Number.POSITIVE_INFINITY) - at).toBeLessThan(1500)
    }
    await harness().deleteCredential(namespace, 'short')
    // Left with the forged token, it looks like a Secret that the scan for secrets cannot read.
    await eventually(async () => expect(await harness().getSecret(namespace, 'short-token')).toBeUndefined(), 15_000)
  }, 90_000)
})
