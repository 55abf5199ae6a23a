import { describe, expect, it, onTestFinished } from 'vitest'
import { credentials, secrets } from '../../../src/kubernetes/types.ts'
import { hourMs, marker, minuteMs, type SpecInput } from '../../support/builders.ts'
import { selfSigned } from '../../support/certificate.ts'
import type { ApiCall } from '../../support/memory-api.ts'
import { namespace, OperatorWorld } from './operator-world.ts'

function newWorld(): OperatorWorld {
  const world = new OperatorWorld()
  onTestFinished(async () => {
    await world.operator?.kill()
  })
  return world
}

const isSource = ({ name, plural, verb }: ApiCall): boolean => verb === 'get' && plural === 'secrets' && name === 'app'
const isStatus = ({ plural, verb }: ApiCall): boolean => verb === 'patch' && plural === 'enosappcredentials'

describe('two resources that name one Secret', () => {
  it('do not fight over it: who retains it keeps it, and the other one says so', async () => {
    const world = newWorld()
    world.addCredential('a', { targets: [{ name: 'shared', deletionPolicy: 'Retain' }] })
    await world.start()
    world.addCredential('b', {
      targets: [{ name: 'shared', creationPolicy: 'Merge', data: { other: '{{ accessToken }}' } }],
    })
    await world.clock.advance(5000)
    const before = world.api.calls.length
    await world.clock.advance(20 * minuteMs)
    expect(world.callsSince(before).filter((call) => call.startsWith('patch'))).toEqual([])
    expect(world.conditions('a')).toContain('Ready=True/Synced')
    expect(world.conditions('b')).toContain('Ready=False/TargetConflict')

    world.deleteCredential('a')
    await world.clock.advance(5000)
    expect(world.conditions('b')).toContain('Ready=True/Synced')
  })
})

describe('a CA in a ConfigMap, while ConfigMaps cannot be listed', () => {
  const spec = { gateway: { url: 'https://apim.example.com', caRef: { kind: 'ConfigMap', name: 'ca', key: 'ca.crt' } } }

  it('holds up no worker, no stop, and no other resource; it is told, and over when they can be listed', async () => {
    const world = newWorld()
    let onSynced = (): void => undefined
    const synced = new Promise<void>((resolve) => (onSynced = resolve))
    world.addConfigMap('ca', { 'ca.crt': selfSigned().cert })
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) world.addCredential(name, spec)
    world.addCredential('other')
    await world.start(() => synced)
    expect(world.conditions('other')).toContain('Ready=True/Synced')
    expect(world.conditions('a')).toBe(
      'Ready=False/WaitingForConfigMaps RenewalHealthy=False/WaitingForConfigMaps Reconciling=True/WaitingForConfigMaps',
    )
    onSynced()
    await world.clock.advance(1000)
    expect(world.conditions('a')).toBe('Ready=True/Synced RenewalHealthy=True/Synced')
  })

  it('does not keep the operator from stopping', async () => {
    const world = newWorld()
    world.addCredential('a', spec)
    const operator = await world.start(() => new Promise(() => undefined))
    let isStopped = false
    void operator.kill().then(() => (isStopped = true))
    await world.clock.advance(1000)
    expect(isStopped).toBe(true)
  })

  it('changes nothing of a resource that was in order before a restart, when the list comes in time', async () => {
    const world = newWorld()
    world.addConfigMap('ca', { 'ca.crt': selfSigned().cert })
    world.addCredential('a', spec)
    await world.start()
    const before = world.api.calls.length
    world.gateway.calls.length = 0
    await world.start(async () => {
      await new Promise<void>((resolve) => world.clock.setTimer(4000, resolve))
    })
    expect(world.callsSince(before)).toEqual([])
    expect(world.gateway.operations).toEqual([])
  })
})

describe('a target that cannot be had, beside one that is written', () => {
  const targets = [{ name: 'good' }, { name: 'missing', creationPolicy: 'Merge' }]

  it('takes nothing away from it: the status tells of its token, and a restart needs no call', async () => {
    const world = newWorld()
    world.addCredential('a', { targets })
    await world.start()
    expect(world.conditions('a')).toContain('Ready=False/TargetMissing')
    const { expiresAt, gateway, tokenFingerprint } = world.status('a')
    expect(expiresAt).toBe('2026-01-01T02:00:00Z')
    expect(gateway).toBe('https://apim.example.com')
    expect(tokenFingerprint).toHaveLength(12)

    world.gateway.calls.length = 0
    await world.start()
    expect(world.gateway.operations).toEqual([])
    await world.clock.advance(2 * hourMs)
    expect(world.isValid('good')).toBe(true)
  })
})

describe('a suspended resource', () => {
  it('is not Ready any more when its target is gone, nor is it written', async () => {
    const world = newWorld()
    world.addCredential('a')
    await world.start()
    world.changeSpec('a', { suspend: true })
    await world.clock.advance(1000)
    expect(world.conditions('a')).toContain('Ready=True/Suspended')
    world.deleteSecret('a-token')
    await world.clock.advance(1000)
    expect(world.conditions('a')).toContain('Ready=False/Suspended')
    expect(world.secret('a-token')).toBeUndefined()
  })

  it('is Ready as long as its target holds the token, whatever else is changed on it, also after a restart', async () => {
    const world = newWorld()
    world.addCredential('a', { targets: [{ name: 'a-token', data: { header: 'Bearer {{ accessToken }}' } }] })
    world.addCredential('b')
    await world.start()
    for (const name of ['a', 'b']) world.changeSpec(name, { suspend: true })
    await world.clock.advance(1000)
    world.changeSecret('b-token', { more: 'x' })
    await world.clock.advance(1000)
    const before = ['a', 'b'].map((name) => world.conditions(name))
    expect(before).toEqual(Array(2).fill('Ready=True/Suspended RenewalHealthy=Unknown/Suspended'))
    await world.start()
    expect(['a', 'b'].map((name) => world.conditions(name))).toEqual(before)
    world.changeSecret('b-token', { accessToken: 'forged' })
    await world.clock.advance(1000)
    expect(world.conditions('b')).toContain('Ready=False/Suspended')
  })
})

describe('a source Secret that is changed after a restart', () => {
  async function restarted(): Promise<OperatorWorld> {
    const world = newWorld()
    world.addCredential('a')
    await world.start()
    await world.start()
    return world
  }

  it('ends Ready when the appKey is one that the gateway does not know', async () => {
    const world = await restarted()
    world.changeSecret('app', { appKey: 'of-nobody' })
    await world.clock.advance(5000)
    expect(world.conditions('a')).toContain('Ready=False/AppKeyNotFound')
    await world.start()
    expect(world.conditions('a')).toContain('Ready=False/AppKeyNotFound')
  })

  it('ends Ready when the appKey is another one and the new token cannot be written', async () => {
    const world = await restarted()
    world.service.addApplication({ appKey: 'another', appSecret: marker.appSecret })
    world.refuse(({ name, verb }) => verb === 'patch' && name === 'a-token')
    world.changeSecret('app', { appKey: 'another' })
    await world.clock.advance(5000)
    expect(world.conditions('a')).toContain('Ready=False/TargetWriteFailed')
  })

  it('leaves Ready alone when the appSecret alone is changed, at both ends or at one', async () => {
    const world = await restarted()
    world.changeSecret('app', { appSecret: 'not-yet-at-the-gateway' })
    await world.clock.advance(5000)
    expect(world.conditions('a')).toContain('Ready=True/Synced RenewalHealthy=False/InvalidAppSecret')
    world.changeSecret('app', { appSecret: marker.appSecret })
    await world.clock.advance(5000)
    expect(world.conditions('a')).toBe('Ready=True/Synced RenewalHealthy=True/Synced')
  })

  it('ends Ready when the appKey is another one, though the gateway cannot be asked', async () => {
    const world = await restarted()
    world.stopGateway()
    world.changeSecret('app', { appKey: 'another' })
    await world.clock.advance(5000)
    expect(world.conditions('a')).toContain('Ready=False/GatewayUnreachable')
  })

  it('leaves Ready alone when something else on it is changed, though the gateway cannot be asked', async () => {
    const world = await restarted()
    world.stopGateway()
    world.user.patch(secrets, { namespace, name: 'app' }, { metadata: { labels: { team: 'wind' } } })
    await world.clock.advance(5000)
    expect(world.conditions('a')).toContain('Ready=True/Synced RenewalHealthy=False/GatewayUnreachable')
    await world.start()
    expect(world.conditions('a')).toContain('Ready=True/Synced RenewalHealthy=False/GatewayUnreachable')
  })
})

describe.each(['while the operator is there', 'while it is away'])(
  'another key of the same source Secret, %s',
  (when) => {
    async function renamed(spec: SpecInput): Promise<OperatorWorld> {
      const world = newWorld()
      world.changeSecret('app', { otherKey: 'of-nobody', otherSecret: 'of-nobody' })
      world.addCredential('a')
      const operator = await world.start()
      if (when === 'while it is away') await operator.kill()
      world.changeSpec('a', spec)
      if (when === 'while it is away') await world.start()
      else await world.clock.advance(5000)
      return world
    }

    it('ends Ready when it is that of the appKey: the token is not its', async () => {
      const world = await renamed({ appKeyRef: { name: 'app', key: 'otherKey' } })
      expect(world.conditions('a')).toContain('Ready=False/AppKeyNotFound')
      await world.start()
      expect(world.conditions('a')).toContain('Ready=False/AppKeyNotFound')
    })

    it('is tried when it is that of the appSecret', async () => {
      const world = await renamed({ appSecretRef: { name: 'app', key: 'otherSecret' } })
      expect(world.conditions('a')).toContain('Ready=True/Synced RenewalHealthy=False/InvalidAppSecret')
    })

    it('costs no call when the spec changed elsewhere', async () => {
      const world = await renamed({ renewBefore: '30m' })
      expect(world.conditions('a')).toBe('Ready=True/Synced RenewalHealthy=True/Synced')
      expect(world.gateway.operations).toEqual(['get'])
    })
  },
)

describe('what the API server refuses', () => {
  it('is tried again though nothing changes: a source that may not be read', async () => {
    const world = newWorld()
    world.refuse(isSource)
    world.addCredential('a')
    await world.start()
    expect(world.conditions('a')).toContain('Stalled=True/SourceForbidden')
    world.refuse(undefined)
    await world.clock.advance(10 * minuteMs)
    expect(world.conditions('a')).toBe('Ready=True/Synced RenewalHealthy=True/Synced')
  })

  it('is not tried in a storm: a source that may not be read', async () => {
    const world = newWorld()
    world.refuse(isSource)
    world.addCredential('a')
    await world.start()
    await world.clock.advance(hourMs)
    const before = world.api.calls.length
    await world.clock.advance(hourMs)
    expect(world.callsSince(before).length).toBeLessThan(30)
    expect(world.callsSince(before).length).toBeGreaterThan(5)
  })

  it.each<[string, (call: ApiCall) => boolean, (world: OperatorWorld) => void]>([
    ['a status', isStatus, (world) => world.changeSpec('a', { suspend: true })],
    ['a source', isSource, (world) => world.changeSecret('app', { more: 'x' })],
  ])('for the moment is left alone for as long as it asks for: %s', async (_, isRefused, change) => {
    const world = newWorld()
    world.addCredential('a')
    await world.start()
    world.refuse(isRefused, { code: 429, reason: 'TooManyRequests', retryAfterMs: 60_000 })
    const before = world.api.calls.length
    const refusals = (): number => world.api.calls.slice(before).filter((call) => isRefused(call)).length
    change(world)
    await world.clock.advance(59_000)
    expect(refusals()).toBe(1)
    await world.clock.advance(2000)
    expect(refusals()).toBe(2)
  })

  it('for a year is tried again after minutes all the same', async () => {
    const world = newWorld()
    world.addCredential('a')
    await world.start()
    world.refuse(isStatus, { code: 429, reason: 'TooManyRequests', retryAfterMs: 365 * 24 * hourMs })
    world.changeSpec('a', { suspend: true })
    await world.clock.advance(minuteMs)
    world.refuse(undefined)
    await world.clock.advance(5 * minuteMs)
    expect(world.conditions('a')).toContain('Ready=True/Suspended')
  })

  it('is told of a target that left the spec and cannot be deleted, though all others are in order', async () => {
    const world = newWorld()
    world.addCredential('a', { targets: [{ name: 'one' }, { name: 'two' }] })
    await world.start()
    world.refuse(({ verb }) => verb === 'delete')
    world.changeSpec('a', { targets: [{ name: 'one' }] })
    await world.clock.advance(5000)
    expect(world.conditions('a')).toBe('Ready=True/Synced RenewalHealthy=True/Synced Stalled=True/TargetWriteFailed')
    const { message } = world.status('a').conditions.find(({ type }) => type === 'Stalled') ?? {}
    expect(message).toContain('Secret two was not deleted: HTTP 403 Forbidden')
    world.refuse(undefined)
    await world.clock.advance(10 * minuteMs)
    expect(world.conditions('a')).toBe('Ready=True/Synced RenewalHealthy=True/Synced')
    expect(world.secret('two')).toBeUndefined()
  })
})

describe('keys in somebody else’s Secret', () => {
  it('stay when the user said so at last, though the operator was away', async () => {
    const world = newWorld()
    world.addSecret('theirs', { own: 'x' })
    world.addCredential('a', { targets: [{ name: 'theirs', creationPolicy: 'Merge' }] })
    const operator = await world.start()
    await operator.kill()
    world.changeSpec('a', { targets: [{ name: 'theirs', creationPolicy: 'Merge', deletionPolicy: 'Retain' }] })
    world.deleteCredential('a')
    await world.start()
    expect(world.credential('a')).toBeUndefined()
    expect(Object.keys(world.secret('theirs')?.data ?? {})).toEqual(['own', 'accessToken', 'expiresAt'])
  })
})

describe('an owner reference that somebody set to block', () => {
  it('is put right', async () => {
    const world = newWorld()
    world.addCredential('a')
    await world.start()
    const present = world.secret('a-token')?.metadata.ownerReferences ?? []
    const ownerReferences = present.map((reference) => ({ ...reference, blockOwnerDeletion: true }))
    world.user.patch(secrets, { namespace, name: 'a-token' }, { metadata: { ownerReferences } })
    await world.clock.advance(1000)
    expect(world.secret('a-token')?.metadata.ownerReferences).toEqual(present)
  })
})

describe('a CRD that is older than the operator', () => {
  it('is no reason to write a status again and again: what it prunes is lost, and the rest works', async () => {
    const world = newWorld()
    const patch = world.api.patch.bind(world.api)
    let isOld = true
    world.api.patch = async (type, ref, { body, ...rest }, options) => {
      const { status, ...others } = body as { status?: Record<string, unknown> }
      const known = { ...status }
      if (isOld) delete known['appKeyFingerprint']
      return await patch(
        type,
        ref,
        { ...rest, body: status === undefined ? others : { ...others, status: known } },
        options,
      )
    }
    world.addCredential('wind')
    await world.start()
    expect(world.conditions('wind')).toBe('Ready=True/Synced RenewalHealthy=True/Synced')
    expect(world.credential('wind')?.status).not.toHaveProperty('appKeyFingerprint')
    const before = world.api.calls.length
    await world.clock.advance(10 * minuteMs)
    expect(world.callsSince(before)).toEqual([])
    await world.clock.advance(100 * minuteMs)
    expect(world.isValid('wind-token')).toBe(true)
    expect(world.api.calls.slice(before).filter(isStatus)).toHaveLength(1)

    // The right one is applied, and somebody changes the status.
    isOld = false
    const body = { status: { expiresAt: null, targets: [] } }
    await patch(credentials, { namespace, name: 'wind' }, { type: 'merge', body }, { subresource: 'status' })
    await world.clock.advance(5000)
    expect(world.credential('wind')?.status).toMatchObject({
      expiresAt: expect.any(String) as string,
      appKeyFingerprint: expect.any(String) as string,
      targets: [{ name: 'wind-token' }],
    })
  })
})

describe('the event SourceTrimmed', () => {
  it('is emitted once for a note, and again after the source was corrected and broken again', async () => {
    const world = newWorld()
    world.changeSecret('app', { appSecret: `${marker.appSecret}\n` })
    world.addCredential('a')
    const operator = await world.start()
    const count = (): number =>
      operator.told.filter((one) => typeof one !== 'string' && one.reason === 'SourceTrimmed').length
    const change = async (appSecret: string): Promise<number> => {
      world.changeSecret('app', { appSecret })
      await world.clock.advance(1000)
      return count()
    }
    expect(count()).toBe(1)
    expect(await change(`${marker.appSecret}\n\n`)).toBe(1)
    expect(await change(marker.appSecret)).toBe(1)
    expect(await change(`${marker.appSecret}\n`)).toBe(2)
  })
})
