import { describe, expect, it } from 'vitest'
import { TokenService } from '../../../simulator/token-service.ts'
import { parseStatus } from '../../../src/api/v1alpha1/credential.ts'
import { managedBy } from '../../../src/api/v1alpha1/names.ts'
import { credentials, secrets } from '../../../src/kubernetes/types.ts'
import { marker, minuteMs, now, spec } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { MemoryApi } from '../../support/memory-api.ts'
import { MemoryOperator } from '../../support/memory-operator.ts'
import { clientOf } from '../enos/support.ts'

const namespace = 'plant-a'
const source = { namespace, name: 'enos-app' }
const resource = { namespace, name: 'wind-farm' }

function setUp(data: Readonly<Record<string, string>>) {
  const clock = new FakeClock(now)
  const keys = { appKey: marker.appKey, appSecret: marker.appSecret }
  const service = new TokenService({ clock, applications: [keys], lifetimeSeconds: 7200 })
  const api = new MemoryApi(clock, managedBy)
  const user = api.user('kubectl')
  user.create(secrets, namespace, { metadata: { name: source.name }, stringData: keys })
  const gateway = clientOf(clock, () => service)
  const begin = (): MemoryOperator => new MemoryOperator(api, gateway, clock)
  const operator = begin()
  const targets = [{ name: source.name, creationPolicy: 'Merge', data }]
  user.create(credentials, namespace, { metadata: { name: resource.name }, spec: spec({ targets }) })
  const read = (key: string): string | undefined => {
    const value = api.find(secrets, source)?.data?.[key]
    return value === undefined ? undefined : Buffer.from(value, 'base64').toString()
  }
  const conditions = (): string[] =>
    parseStatus(api.find(credentials, resource)?.status).conditions.map(({ status, type }) => `${type} ${status}`)
  return { api, begin, clock, conditions, gateway, operator, read, user }
}

describe('a target that is merged into its own source', () => {
  // The second template uses a value of the source, which each write of the target changes.
  it.each([
    { token: '{{ accessToken }}' },
    { config: '{"token": {{ accessToken | json }}, "secret": {{ appSecret | json }}}' },
  ])(
    'a target merged into its own source converges with %j, needs no write after a restart, and is renewed',
    async (data) => {
      const { api, begin, clock, conditions, gateway, operator, read } = setUp(data)
      const [key = ''] = Object.keys(data)
      await clock.advance(minuteMs)
      const first = read(key)
      expect(first).toContain('APP_PORTAL_S_')
      expect([read('appKey'), read('appSecret')]).toEqual([marker.appKey, marker.appSecret])
      expect(conditions()).toEqual(['Ready True', 'RenewalHealthy True'])

      const calls = api.calls.length
      await clock.advance(30 * minuteMs)
      expect(api.calls.length).toBe(calls)
      await operator.kill()
      const next = begin()
      await clock.advance(minuteMs)
      expect(api.calls.length).toBe(calls)
      expect(gateway.operations).toEqual(['get'])

      await clock.advance(70 * minuteMs)
      expect(read(key)).not.toBe(first)
      expect(gateway.operations.filter((operation) => operation === 'refresh')).toHaveLength(1)
      expect(conditions()).toEqual(['Ready True', 'RenewalHealthy True'])
      await next.kill()
    },
  )

  it('the deletion of the resource removes the token, and keeps the source', async () => {
    const { clock, operator, read, user } = setUp({ token: '{{ accessToken }}' })
    await clock.advance(minuteMs)
    user.delete(credentials, resource)
    await clock.advance(minuteMs)
    expect([read('token'), read('appKey')]).toEqual([undefined, marker.appKey])
    await operator.kill()
  })

  it('the token does not replace the appSecret that it is received with', async () => {
    const { clock, conditions, operator, read } = setUp({ appSecret: '{{ accessToken }}' })
    await clock.advance(minuteMs)
    expect(read('appSecret')).toBe(marker.appSecret)
    expect(conditions()).toContain('Stalled True')
    await operator.kill()
  })
})
