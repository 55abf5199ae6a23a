import { describe, expect, it, onTestFinished } from 'vitest'
import { credentials, secrets } from '../../../src/kubernetes/types.ts'
import { minuteMs, type SpecInput } from '../../support/builders.ts'
import type { ApiCall, StoredObject } from '../../support/memory-api.ts'
import { namespace, OperatorWorld } from './operator-world.ts'

const name = 'a-token'
const labels = { 'app.kubernetes.io/managed-by': 'enos-credential-operator', 'enos.io/credential': 'a' }
const annotations = { 'enos.io/adopt': 'a' }
const base64 = (text: string): string => Buffer.from(text).toString('base64')

function newWorld(): OperatorWorld {
  const world = new OperatorWorld()
  onTestFinished(async () => {
    await world.operator?.kill()
  })
  return world
}

/** A Secret `a-token` of another writer. */
function addForeign(world: OperatorWorld, metadata: object = {}, rest: object = {}): StoredObject {
  const data = { accessToken: base64('old'), config: base64('theirs') }
  return world.user.create(secrets, namespace, { metadata: { name, ...metadata }, type: 'Opaque', data, ...rest })
}

/** Starts the operator beside a Secret of another writer and a credential `a`. */
async function started(metadata: object, rest: object = {}, spec: SpecInput = {}): Promise<OperatorWorld> {
  const world = newWorld()
  addForeign(world, metadata, rest)
  world.addCredential('a', spec)
  await world.start()
  return world
}

function messageOf(world: OperatorWorld, credential = 'a'): string {
  return world.status(credential).conditions.find(({ type }) => type === 'Ready')?.message ?? ''
}

function notesOf(world: OperatorWorld, reason: string): string[] {
  return (world.operator?.emitted ?? []).flatMap((one) =>
    typeof one !== 'string' && one.reason === reason ? [one.note] : [],
  )
}

const isWrite = ({ name: of, plural, verb }: ApiCall): boolean => plural === 'secrets' && of === name && verb !== 'get'

describe('adoption by an Owner target', () => {
  it.each([
    ['labels', { labels }],
    ['the annotation', { annotations }],
  ])(
    'an Owner target adopts a Secret by %s, removes the annotation and foreign keys, and names them in an event',
    async (_, metadata) => {
      const world = await started(metadata)
      expect(world.conditions('a')).toContain('Ready=True/Synced')
      expect(world.isValid(name)).toBe(true)
      const secret = world.secret(name)
      expect(Object.keys(secret?.data ?? {})).toEqual(['accessToken', 'expiresAt'])
      expect(secret?.metadata.annotations).not.toHaveProperty(['enos.io/adopt'])
      expect(secret?.metadata).toMatchObject({ labels, ownerReferences: [{ name: 'a', controller: true }] })
      expect(world.status('a').targets).toMatchObject([{ lastWrite: { reason: 'Adopted' } }])
      expect(notesOf(world, 'TargetAdopted')).toEqual(['Secret a-token adopted; config removed'])
      expect(world.api.calls.filter(isWrite)).toHaveLength(1)
    },
  )

  it('an Owner target adopts a Secret that is annotated later, within a second', async () => {
    const world = await started({})
    expect(messageOf(world)).toBe(
      'spec.targets: Secret a-token already exists and is not owned by this resource; to have it adopted (possible if its type is Opaque and it is not immutable), annotate it with enos.io/adopt: a; otherwise delete it, or name another target',
    )
    world.user.patch(secrets, { namespace, name }, { metadata: { annotations } })
    await world.clock.advance(1000)
    expect(world.conditions('a')).toContain('Ready=True/Synced')
  })

  it('an event of adoption names at most five of the removed keys', async () => {
    const data = Object.fromEntries(['k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7'].map((key) => [key, base64('x')]))
    const world = await started({ annotations }, { data })
    expect(notesOf(world, 'TargetAdopted')).toEqual(['Secret a-token adopted; k1, k2, k3, k4, k5 and 2 more removed'])
  })

  it('an Owner target changes nothing on the Secret before the first token', async () => {
    const world = newWorld()
    world.stopGateway()
    const before = addForeign(world, { annotations })
    world.addCredential('a')
    await world.start()
    await world.clock.advance(minuteMs)
    expect(world.secret(name)).toEqual(before)
    expect(world.conditions('a')).toContain('Ready=False/GatewayUnreachable')
  })

  it('an Owner target replaces the token on the Secret by the one that the gateway returns', async () => {
    const world = await started({ labels })
    expect(world.secret(name)?.data?.['accessToken']).not.toBe(base64('old'))
    expect(world.gateway.operations).toEqual(['get'])
  })

  it('an Owner target adopts a Secret that was orphaned, although its type has changed', async () => {
    const world = newWorld()
    world.addCredential('a')
    await world.start()
    world.user.patch(secrets, { namespace, name }, { metadata: { ownerReferences: null } })
    world.deleteCredential('a')
    await world.clock.advance(1000)
    expect(world.secret(name)).toBeDefined()
    world.addCredential('a', { targets: [{ name, type: 'enos.example.com/token' }] })
    await world.clock.advance(5000)
    expect(world.conditions('a')).toContain('Ready=True/Synced')
    expect(world.isValid(name)).toBe(true)
    expect(notesOf(world, 'TargetAdopted')).toEqual(['Secret a-token adopted; no keys removed'])
  })

  it('an Owner target with deletionPolicy Retain adopts a Secret without an owner reference', async () => {
    const world = await started({ labels }, {}, { targets: [{ name, deletionPolicy: 'Retain' }] })
    expect(world.conditions('a')).toContain('Ready=True/Synced')
    expect(world.secret(name)?.metadata.ownerReferences ?? []).toEqual([])
  })

  it('adoptions of a Secret that another writer creates again and again are damped', async () => {
    const world = await started({ labels })
    const before = world.api.calls.length
    const recreate = (): void => {
      const isOwned = (world.secret(name)?.metadata.ownerReferences ?? []).length > 0
      if (!isOwned) return
      world.deleteSecret(name)
      addForeign(world, { labels })
    }
    world.api.listen(({ plural }, object, isGone) => {
      if (plural === 'secrets' && object.metadata.name === name && !isGone) world.clock.setTimer(5, recreate)
    })
    recreate()
    await world.clock.advance(10 * minuteMs)
    expect(world.api.calls.slice(before).filter(isWrite).length).toBeLessThanOrEqual(15)
    expect(world.conditions('a')).toContain('Ready=False/TargetContested')
  })
})

const controller = { apiVersion: 'v1', kind: 'Job', name: 'j', uid: 'uid-j', controller: true }

describe('refused adoption by an Owner target', () => {
  it.each<[string, object, object, RegExp]>([
    [
      'a Secret without labels and annotation',
      {},
      {},
      /to have it adopted \(possible if .*\), annotate it with enos.io\/adopt: a/,
    ],
    [
      'a Secret with a controller',
      { labels, annotations, ownerReferences: [controller] },
      {},
      /another object controls it/,
    ],
    [
      'a Secret with labels of another resource',
      { labels: { ...labels, 'enos.io/credential': 'b' } },
      {},
      /annotate it/,
    ],
    ['a Secret with the label of another operator', { labels: { 'enos.io/credential': 'a' } }, {}, /annotate it/],
    [
      'a Secret that is annotated for another resource',
      { annotations: { 'enos.io/adopt': 'b' } },
      {},
      /its annotation enos.io\/adopt names b, not a; correct the annotation to have the Secret adopted; otherwise/,
    ],
    [
      'a Secret of Kubernetes',
      { labels },
      { type: 'kubernetes.io/tls' },
      /type kubernetes.io\/tls, which is never adopted/,
    ],
    ['a token of a node', { annotations }, { type: 'bootstrap.kubernetes.io/token' }, /which is never adopted/],
    [
      'a release of Helm',
      { annotations },
      { type: 'helm.sh/release.v1' },
      /type helm.sh\/release.v1, which is never adopted/,
    ],
    [
      'a Secret of another type by the annotation',
      { annotations },
      { type: 'example.com/x' },
      /set the type of the target to example.com\/x/,
    ],
    ['an immutable Secret by the annotation', { annotations }, { immutable: true }, /is immutable/],
  ])('an Owner target never adopts %s', async (_, metadata, rest, message) => {
    const world = await started(metadata, rest)
    const before = world.secret(name)
    await world.clock.advance(20 * minuteMs)
    expect(world.conditions('a')).toContain('Ready=False/TargetConflict')
    expect(world.conditions('a')).toContain('RenewalHealthy=True')
    expect(messageOf(world)).toMatch(message)
    expect(world.secret(name)).toEqual(before)
    expect(world.api.calls.filter(isWrite)).toEqual([])
  })

  it('an Owner target never adopts a Secret of another resource, which the message names without advice to adopt or delete', async () => {
    const world = newWorld()
    world.addCredential('b', { targets: [{ name }] })
    await world.start()
    world.user.patch(secrets, { namespace, name }, { metadata: { annotations } })
    world.addCredential('a')
    await world.clock.advance(5000)
    expect(messageOf(world)).toBe('spec.targets: Secret a-token belongs to EnosAppCredential b: name another target')
    expect(world.conditions('b')).toContain('Ready=True/Synced')
  })

  it('an Owner target never adopts a Secret that another resource retains', async () => {
    const world = newWorld()
    world.addCredential('b', { targets: [{ name, deletionPolicy: 'Retain' }] })
    await world.start()
    world.user.patch(secrets, { namespace, name }, { metadata: { annotations, labels } })
    world.addCredential('a')
    await world.clock.advance(5000)
    expect(messageOf(world)).toBe('spec.targets: Secret a-token belongs to EnosAppCredential b: name another target')
    expect(world.conditions('b')).toContain('Ready=True/Synced')
  })

  it.each([
    ['has as a target in its spec', 'Owner'],
    ['merges keys into', 'Merge'],
  ])(
    'an Owner target never adopts a Secret that another resource %s, while that resource exists',
    async (_, creationPolicy) => {
      const world = newWorld()
      addForeign(world, { annotations })
      world.addCredential('b', { suspend: true, targets: [{ name, creationPolicy, data: { b: '{{ accessToken }}' } }] })
      world.addCredential('a')
      await world.start()
      expect(messageOf(world)).toBe('spec.targets: Secret a-token belongs to EnosAppCredential b: name another target')
      world.deleteCredential('b')
      await world.clock.advance(2000)
      expect(world.conditions('a')).toContain('Ready=True/Synced')
    },
  )

  it('an Owner target never adopts a Secret that a resource with an invalid spec has recorded', async () => {
    const world = newWorld()
    world.addCredential('b', { targets: [{ name }] })
    await world.start()
    world.user.patch(credentials, { namespace, name: 'b' }, { spec: { targets: 'none' } })
    world.user.patch(secrets, { namespace, name }, { metadata: { annotations, ownerReferences: null } })
    world.addCredential('a')
    await world.clock.advance(5000)
    expect(messageOf(world)).toContain('belongs to EnosAppCredential b')
  })
})

describe('adoption between two resources', () => {
  it('two resources never take a Secret from each other, with labels and annotations for both or in turn', async () => {
    const world = newWorld()
    addForeign(world, { labels, annotations: { 'enos.io/adopt': 'b' } })
    for (const credential of ['a', 'b']) world.addCredential(credential, { targets: [{ name }] })
    await world.start()
    await world.clock.advance(30 * minuteMs)
    expect(world.api.calls.filter(isWrite)).toEqual([])
    expect(messageOf(world, 'a')).toContain('belongs to EnosAppCredential b')
    expect(messageOf(world, 'b')).toContain('belongs to EnosAppCredential a')
  })

  it('two resources never take a retained Secret from each other when the other has merged its keys', async () => {
    const world = newWorld()
    world.addCredential('a', { targets: [{ name, deletionPolicy: 'Retain' }] })
    world.addCredential('b', { targets: [{ name, creationPolicy: 'Merge', data: { b: '{{ accessToken }}' } }] })
    await world.start()
    world.deleteCredential('a')
    await world.clock.advance(5000)
    expect(world.conditions('b')).toContain('Ready=True/Synced')
    world.addCredential('a', { targets: [{ name }] })
    await world.clock.advance(30 * minuteMs)
    expect(messageOf(world)).toContain('belongs to EnosAppCredential b')
    expect(world.conditions('b')).toContain('Ready=True/Synced')
  })
})

describe('adoption by a Merge target', () => {
  const merged = { targets: [{ name, creationPolicy: 'Merge' }] }

  it('a Merge target takes over exactly the keys of its spec in an annotated Secret, and removes the annotation', async () => {
    const world = await started({ annotations: { ...annotations, other: 'x' } }, {}, merged)
    expect(world.conditions('a')).toContain('Ready=True/Synced')
    expect(world.isValid(name)).toBe(true)
    expect(world.secret(name)).toMatchObject({
      data: { config: base64('theirs') },
      metadata: { annotations: { other: 'x' } },
    })
    expect(world.secret(name)?.metadata.annotations).not.toHaveProperty(['enos.io/adopt'])
    expect(notesOf(world, 'TargetAdopted')).toEqual(['Secret a-token: took over accessToken'])
    const before = world.api.calls.length
    await world.start()
    await world.clock.advance(20 * minuteMs)
    expect(world.api.calls.slice(before).filter(isWrite)).toEqual([])
  })

  it.each([
    ['nothing by labels', { labels }, 'annotate the Secret with enos.io/adopt: a to hand them over'],
    [
      'nothing from a Secret that is annotated for another resource',
      { annotations: { 'enos.io/adopt': 'b' } },
      'correct its annotation to hand them over: enos.io/adopt names b, not a',
    ],
  ])('a Merge target takes over %s, and the message names the annotation', async (_, metadata, advice) => {
    const world = await started(metadata, {}, merged)
    expect(messageOf(world)).toBe(
      `spec.targets: Secret a-token already has accessToken, owned by field manager kubectl; name other keys, remove those, or ${advice}`,
    )
    expect(world.api.calls.filter(isWrite)).toEqual([])
  })

  it('a Merge target takes over no key of another resource', async () => {
    const world = newWorld()
    world.user.create(secrets, namespace, { metadata: { name }, data: { theirs: base64('x') } })
    world.addCredential('b', merged)
    await world.start()
    world.user.patch(secrets, { namespace, name }, { metadata: { annotations } })
    world.addCredential('a', merged)
    await world.clock.advance(30 * minuteMs)
    expect(world.conditions('a')).toContain('Ready=False/TargetConflict')
    expect(world.conditions('b')).toContain('Ready=True/Synced')
  })

  it('a Merge target does not contest a writer that restores the annotation', async () => {
    const world = await started({ annotations }, {}, merged)
    const before = world.api.calls.length
    const put = (): void => {
      if (world.secret(name)?.metadata.annotations?.['enos.io/adopt'] === 'a') return
      world.user.patch(secrets, { namespace, name }, { metadata: { annotations } })
    }
    world.api.listen(({ plural }, object) => {
      if (plural === 'secrets' && object.metadata.name === name) world.clock.setTimer(5, put)
    })
    put()
    await world.clock.advance(10 * minuteMs)
    expect(world.api.calls.slice(before).filter(isWrite).length).toBeLessThanOrEqual(15)
    expect(world.conditions('a')).toContain('Ready=True/Synced')
  })
})

describe('the operator: a credential that waits for a Secret', () => {
  it('a waiting credential is reconciled at once when another resource drops that target from its spec', async () => {
    const world = newWorld()
    addForeign(world, { annotations })
    world.addCredential('b', { targets: [{ name }] })
    world.addCredential('a')
    await world.start()
    world.changeSpec('b', { targets: [{ name: 'b-token' }] })
    await world.clock.advance(2000)
    expect(world.conditions('a')).toContain('Ready=True/Synced')
  })

  it('a waiting credential is reconciled at once when the other resource is deleted while its spec is invalid', async () => {
    const world = newWorld()
    world.addCredential('b', { targets: [{ name }] })
    await world.start()
    world.user.patch(credentials, { namespace, name: 'b' }, { spec: { targets: 'none' } })
    world.user.patch(secrets, { namespace, name }, { metadata: { annotations, ownerReferences: null } })
    world.addCredential('a')
    await world.clock.advance(2000)
    expect(world.conditions('a')).toContain('Ready=False/TargetConflict')
    world.deleteCredential('b')
    await world.clock.advance(2000)
    expect(world.conditions('a')).toContain('Ready=True/Synced')
  })

  it('a waiting credential is reconciled at once when the resource that retained the Secret is deleted', async () => {
    const world = newWorld()
    world.addCredential('b', { targets: [{ name, deletionPolicy: 'Retain' }] })
    await world.start()
    world.addCredential('a')
    await world.clock.advance(2000)
    world.changeSpec('b', { targets: [{ name: 'b-token' }] })
    await world.clock.advance(2000)
    expect(messageOf(world)).toContain('belongs to EnosAppCredential b')
    world.deleteCredential('b')
    await world.clock.advance(2000)
    expect(messageOf(world)).toContain('annotate it with enos.io/adopt: a')
  })
})
