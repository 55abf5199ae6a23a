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

describe('the operator: two resources with one Secret', () => {
  it('two resources do not contest one Secret: the one that retains it keeps it, and the other reports TargetConflict', async () => {
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

describe('the operator: caRef while ConfigMaps cannot be listed', () => {
  const spec = { gateway: { url: 'https://apim.example.com', caRef: { kind: 'ConfigMap', name: 'ca', key: 'ca.crt' } } }

  it('a caRef that waits for ConfigMaps is reported, blocks no worker and no other resource, and continues after the list', async () => {
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

  it('a caRef that waits for ConfigMaps does not keep the operator from stopping', async () => {
    const world = newWorld()
    world.addCredential('a', spec)
    const operator = await world.start(() => new Promise(() => undefined))
    let isStopped = false
    void operator.kill().then(() => (isStopped = true))
    await world.clock.advance(1000)
    expect(isStopped).toBe(true)
  })

  it('a synced resource with a caRef stays unchanged after a restart when the list comes in time', async () => {
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

describe('the operator: a missing Secret beside a written target', () => {
  const targets = [{ name: 'good' }, { name: 'missing', creationPolicy: 'Merge' }]

  it('a missing Secret leaves the token of the other target in the status, so that a restart needs no call', async () => {
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

describe('the operator: a suspended resource', () => {
  it('a suspended resource turns Ready False when its target is deleted, and does not write it', async () => {
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

  it('a suspended resource is Ready while its target holds the token, whatever else changes, also after a restart', async () => {
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

describe('the operator: a source Secret that changes after a restart', () => {
  async function restarted(): Promise<OperatorWorld> {
    const world = newWorld()
    world.addCredential('a')
    await world.start()
    await world.start()
    return world
  }

  it('a changed appKey that the gateway does not know turns Ready False', async () => {
    const world = await restarted()
    world.changeSecret('app', { appKey: 'unknown' })
    await world.clock.advance(5000)
    expect(world.conditions('a')).toContain('Ready=False/AppKeyNotFound')
    await world.start()
    expect(world.conditions('a')).toContain('Ready=False/AppKeyNotFound')
  })

  it('a changed appKey whose new token cannot be written turns Ready False', async () => {
    const world = await restarted()
    world.service.addApplication({ appKey: 'another', appSecret: marker.appSecret })
    world.refuse(({ name, verb }) => verb === 'patch' && name === 'a-token')
    world.changeSecret('app', { appKey: 'another' })
    await world.clock.advance(5000)
    expect(world.conditions('a')).toContain('Ready=False/TargetWriteFailed')
  })

  it('a changed appSecret leaves Ready unchanged, accepted by the gateway or not', async () => {
    const world = await restarted()
    world.changeSecret('app', { appSecret: 'not-yet-at-the-gateway' })
    await world.clock.advance(5000)
    expect(world.conditions('a')).toContain('Ready=True/Synced RenewalHealthy=False/InvalidAppSecret')
    world.changeSecret('app', { appSecret: marker.appSecret })
    await world.clock.advance(5000)
    expect(world.conditions('a')).toBe('Ready=True/Synced RenewalHealthy=True/Synced')
  })

  it('a changed appKey turns Ready False while the gateway is unreachable', async () => {
    const world = await restarted()
    world.stopGateway()
    world.changeSecret('app', { appKey: 'another' })
    await world.clock.advance(5000)
    expect(world.conditions('a')).toContain('Ready=False/GatewayUnreachable')
  })

  it('a changed label leaves Ready unchanged while the gateway is unreachable', async () => {
    const world = await restarted()
    world.stopGateway()
    world.user.patch(secrets, { namespace, name: 'app' }, { metadata: { labels: { team: 'wind' } } })
    await world.clock.advance(5000)
    expect(world.conditions('a')).toContain('Ready=True/Synced RenewalHealthy=False/GatewayUnreachable')
    await world.start()
    expect(world.conditions('a')).toContain('Ready=True/Synced RenewalHealthy=False/GatewayUnreachable')
  })
})

describe.each(['while the operator runs', 'while the operator is stopped'])(
  'the operator: another key of the same source Secret, %s',
  (when) => {
    async function renamed(spec: SpecInput): Promise<OperatorWorld> {
      const world = newWorld()
      world.changeSecret('app', { otherKey: 'unknown', otherSecret: 'unknown' })
      world.addCredential('a')
      const operator = await world.start()
      if (when === 'while the operator is stopped') await operator.kill()
      world.changeSpec('a', spec)
      if (when === 'while the operator is stopped') await world.start()
      else await world.clock.advance(5000)
      return world
    }

    it('another key for the appKey turns Ready False, since the token is not of that appKey', async () => {
      const world = await renamed({ appKeyRef: { name: 'app', key: 'otherKey' } })
      expect(world.conditions('a')).toContain('Ready=False/AppKeyNotFound')
      await world.start()
      expect(world.conditions('a')).toContain('Ready=False/AppKeyNotFound')
    })

    it('another key for the appSecret is tried at the gateway', async () => {
      const world = await renamed({ appSecretRef: { name: 'app', key: 'otherSecret' } })
      expect(world.conditions('a')).toContain('Ready=True/Synced RenewalHealthy=False/InvalidAppSecret')
    })

    it('another field of the spec causes no call', async () => {
      const world = await renamed({ renewBefore: '30m' })
      expect(world.conditions('a')).toBe('Ready=True/Synced RenewalHealthy=True/Synced')
      expect(world.gateway.operations).toEqual(['get'])
    })
  },
)

describe('the operator: calls that the API server refuses', () => {
  it('a forbidden source is read again without an event of a watch', async () => {
    const world = newWorld()
    world.refuse(isSource)
    world.addCredential('a')
    await world.start()
    expect(world.conditions('a')).toContain('Stalled=True/SourceForbidden')
    world.refuse(undefined)
    await world.clock.advance(10 * minuteMs)
    expect(world.conditions('a')).toBe('Ready=True/Synced RenewalHealthy=True/Synced')
  })

  it('a forbidden source is read again with backoff', async () => {
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
  ])('a refused call is repeated after its Retry-After: %s', async (_, isRefused, change) => {
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

  it('a refused call with a Retry-After of a year is repeated after minutes', async () => {
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

  it('a removed target that cannot be deleted is reported, beside targets in sync', async () => {
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

describe('the operator: keys in a Secret of another owner', () => {
  it('merged keys stay when deletionPolicy became Retain before the deletion, both while the operator was stopped', async () => {
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

describe('the operator: owner references', () => {
  it('an owner reference that another writer made blocking is corrected', async () => {
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

describe('the operator: an older CRD', () => {
  it('an older CRD, which prunes fields of the status, causes no repeated status writes', async () => {
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

    // The present CRD is applied, and another client changes the status.
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

describe('the operator: SourceTrimmed', () => {
  it('SourceTrimmed is emitted once for a note, and again after the source was corrected and broken again', async () => {
    const world = newWorld()
    world.changeSecret('app', { appSecret: `${marker.appSecret}\n` })
    world.addCredential('a')
    const operator = await world.start()
    const count = (): number =>
      operator.emitted.filter((one) => typeof one !== 'string' && one.reason === 'SourceTrimmed').length
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
