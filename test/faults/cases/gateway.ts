import { expect } from 'vitest'
import type { Fault } from '../../../simulator/faults.ts'
import { GatewayDispatchers } from '../../../src/enos/gateway-dispatchers.ts'
import { Timestamps } from '../../../src/enos/timestamps.ts'
import { TokenClient } from '../../../src/enos/token-client.ts'
import { configMaps } from '../../../src/kubernetes/types.ts'
import { SystemClock } from '../../../src/lib/clock.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { eventually } from '../../integration/harness.ts'
import { selfSigned } from '../../support/certificate.ts'
import type { FaultCase } from '../fault-case.ts'
import type { World } from '../world.ts'
import { everyCall, expectRenewed, missingRefresh } from './every-call.ts'

const http = (status: number, body = '', headers: Record<string, string> = {}): Fault => {
  return { kind: 'http', status, body, headers }
}
const reply = (json: unknown): Fault => http(200, JSON.stringify(json), { 'content-type': 'application/json' })

/** A call in progress ends a third of the remaining life later: with 12 s, a second before the token expires. */
const hanging = { holdMs: 4000, world: { lifetimeSeconds: 18 } }

const unreachable: readonly FaultCase[] = [
  {
    name: 'the gateway refuses connections',
    expected: 'RenewalHealthy False, GatewayUnreachable; Ready stays; renewed when the fault ends',
    begin: (world) => world.gateway.setOutage(true),
    during: (world) => world.expectConditions('RenewalHealthy', 'False/GatewayUnreachable'),
    end: (world) => world.gateway.setOutage(false),
  },
  {
    name: 'the gateway refuses connections for longer than the window',
    expected: 'Ready False, TokenExpired, from the expiry on; a new token within seconds of the return',
    mayExpire: true,
    begin: (world) => world.gateway.setOutage(true),
    during: (world) => world.expectConditions('Ready', 'False/TokenExpired', 20_000),
    end: (world) => world.gateway.setOutage(false),
  },
  everyCall('the gateway resets connections', { kind: 'reset' }, 'GatewayUnreachable'),
  everyCall('the gateway hangs before the headers', { kind: 'hang' }, 'GatewayUnreachable', hanging),
  everyCall('the gateway hangs in the body', { kind: 'hangBody' }, 'GatewayUnreachable', hanging),
  everyCall(
    'the gateway sends its answer a byte a second',
    { kind: 'drip', everyMs: 1000 },
    'GatewayUnreachable',
    hanging,
  ),
  everyCall('the gateway breaks off in the middle of the JSON', { kind: 'truncate' }, 'GatewayUnreachable'),
  {
    name: 'the gateway answers after a second',
    expected: 'no condition changes: renewals begin early enough',
    holdMs: 9000,
    begin: (world) => world.gateway.setFaults([{ fault: { kind: 'slow', delayMs: 1000 } }]),
    end: (world) => world.gateway.setFaults([]),
  },
]

const odd: readonly FaultCase[] = [
  everyCall('the gateway answers 500', http(500), 'GatewayError'),
  everyCall('the gateway answers 500 with Retry-After: 1', http(500, '', { 'retry-after': '1' }), 'GatewayError'),
  everyCall('the gateway answers 502 with an HTML page', http(502, '<html>Bad Gateway</html>'), 'GatewayError'),
  everyCall('the gateway answers 503', http(503), 'GatewayError'),
  everyCall('the gateway answers 503 with Retry-After: 1', http(503, '', { 'retry-after': '1' }), 'GatewayError'),
  everyCall('the gateway answers 429', http(429), 'GatewayError'),
  everyCall('the gateway answers 429 with Retry-After: 3600', http(429, '', { 'retry-after': '3600' }), 'GatewayError'),
  everyCall('the gateway redirects', http(302, '', { location: 'http://127.0.0.1:1/' }), 'UnexpectedReply'),
  everyCall('the gateway answers HTML instead of JSON', http(200, '<html>Welcome</html>'), 'UnexpectedReply'),
  everyCall('the gateway answers truncated JSON', http(200, '{"status":0,"data":{"accessTok'), 'UnexpectedReply'),
  everyCall('the gateway answers 100 MB', { kind: 'large', bytes: 100 * 1024 * 1024 }, 'UnexpectedReply'),
  everyCall('the gateway answers an empty body', http(200), 'UnexpectedReply'),
  everyCall(
    'the gateway answers data of the wrong types',
    reply({ status: 0, data: { accessToken: 7, expire: [] } }),
    'UnexpectedReply',
  ),
  everyCall(
    'the gateway answers a token with a line break',
    reply({ status: 0, data: { accessToken: 'a\r\nb', expire: 9 } }),
    'UnexpectedReply',
  ),
  everyCall('the gateway answers a negative expire', { kind: 'expire', value: -1 }, 'UnexpectedReply'),
  everyCall('the gateway answers without expire', { kind: 'expire', value: undefined }, 'UnexpectedReply'),
  everyCall('the gateway answers an absurd expire', { kind: 'expire', value: 1e15 }, 'UnexpectedReply'),
  everyCall('the gateway answers expire 0', { kind: 'expire', value: 0 }, 'GatewayError', {
    expected: '0 is a legal countdown: refreshed every second; no expired token is written',
    mayRefreshAgain: true,
    during: undefined,
  }),
]

const statuses: readonly FaultCase[] = [
  [1002, 'AppKeyNotFound'],
  [1003, 'InvalidAppSecret'],
  [1004, 'GatewayRejected'],
  [1005, 'GatewayError'],
  [1202, 'GatewayRejected'],
  [4711, 'UnexpectedReply'],
].map(([status, reason]) =>
  everyCall(`the gateway answers status ${status ?? ''}`, { kind: 'status', status: Number(status) }, String(reason)),
)

const refusedRefreshes: readonly FaultCase[] = [
  {
    name: 'the gateway answers 1001 (repeated request) twice',
    expected: 'retried at once with another timestamp; no condition changes',
    begin: (world) => world.gateway.setFaults([{ fault: { kind: 'status', status: 1001 }, count: 2 }]),
    during: expectRenewed,
  },
  ...[1203, 1204].map((status): FaultCase => ({
    name: `the gateway refuses refreshes with ${status}`,
    expected: 'get and refresh are retried until the fault ends',
    begin: (world) => world.gateway.setFaults([{ operation: 'refresh', fault: { kind: 'status', status } }]),
    end: (world) => world.gateway.setFaults([]),
  })),
  {
    name: 'the gateway loses the answer of a refresh',
    expected: 'get finds the refreshed token; no second refresh',
    begin: (world) => world.gateway.setFaults([{ operation: 'refresh', fault: { kind: 'truncate' }, count: 2 }]),
    during: expectRenewed,
    end: (world) => world.gateway.setFaults([]),
  },
  missingRefresh('http404', '404'),
  {
    name: 'the gateway answers a single refresh with 404',
    expected: 'one 404 is not believed: refreshed a second later, in time',
    begin: (world) =>
      world.gateway.setFaults([{ operation: 'refresh', fault: http(404, 'no such backend'), count: 1 }]),
    during: expectRenewed,
    after: async (world) => {
      const message = await world.harness.message(world.namespace, 'first', 'RenewalHealthy')
      expect(message).not.toContain('404')
    },
  },
  {
    name: 'the gateway revokes the old token at a refresh',
    expected: 'all targets hold the new token within milliseconds',
    world: { gateway: { doesRefreshKillOld: true } },
    holdMs: 10_000,
    mayExpire: true,
    begin: () => undefined,
    after: async (world) => {
      const { expiredMs } = await world.referee.stop()
      expect(expiredMs).toBeLessThan(1500)
    },
  },
  {
    name: 'the gateway prolongs the old token at a refresh',
    expected: 'the token stays; annotations and status have the new expiry',
    world: { gateway: { doesRefreshChangeToken: false } },
    begin: () => undefined,
    during: expectRenewed,
  },
]

const others: readonly FaultCase[] = [
  {
    name: 'another client refreshes the token just before the renewal',
    expected: 'one get, no refresh: the fresh token is used',
    when: 'now',
    begin: async (world) => {
      // Time for two calls before the operator's own.
      await world.beforeRenewal(2000)
      for (const keys of [world.shared, world.own]) await refreshAsAnotherClient(world, keys)
    },
    during: (world) => eventually(() => expectCurrentTokens(world), world.lifetimeMs),
  },
  {
    name: 'another client revokes the token',
    expected: 'verifyEvery finds it within the interval; all targets get a new token',
    world: { lifetimeSeconds: 120, spec: { verifyEvery: '10s' } },
    when: 'now',
    mayExpire: true,
    begin: (world) => {
      world.gateway.service.revoke(world.shared.appKey)
      world.gateway.service.revoke(world.own.appKey)
    },
    recoverWithinMs: 14_000,
  },
]

const clocks: readonly FaultCase[] = [10, -10].map((minutes) => ({
  name: `the gateway has a clock ten minutes ${minutes > 0 ? 'ahead' : 'behind'} and accepts any timestamp`,
  expected: 'expiry is counted from the request, on a monotonic clock; the skew is a metric',
  world: { gateway: { clockOffsetMs: minutes * 60_000, maxSkewMs: 0 } },
  begin: () => undefined,
  during: expectRenewed,
  after: async (world: World) => {
    const skew = await world.operator.metric('enos_gateway_clock_skew_seconds')
    expect(Math.abs(skew - minutes * 60)).toBeLessThan(3)
  },
}))

const tls: readonly FaultCase[] = [
  tlsCase('the gateway presents an expired certificate', () => selfSigned({ lastYear: 2021 })),
  tlsCase('the gateway presents the certificate of another host', () => selfSigned({ address: [127, 0, 0, 2] })),
  tlsCase('the gateway presents a certificate of an unknown CA', () => selfSigned()),
  {
    ...tlsCase('the gateway has its CA rotated', () => selfSigned()),
    expected: 'RenewalHealthy False, GatewayUnreachable, until caRef has the new CA; then renewed within a second',
    end: async (world) => {
      const cert = presented.get(world)?.cert ?? ''
      const body = { data: { 'ca.crt': cert } }
      await world.harness.admin.patch(
        configMaps,
        { namespace: world.namespace, name: 'gateway-ca' },
        { type: 'merge', body },
      )
    },
  },
]

const presented = new WeakMap<World, ReturnType<typeof selfSigned>>()

function tlsCase(name: string, bad: () => ReturnType<typeof selfSigned>): FaultCase {
  const good = selfSigned()
  return {
    name,
    expected: 'RenewalHealthy False, GatewayUnreachable; Ready stays; nothing is sent',
    world: {
      gateway: { tls: good },
      gatewaySpec: async ({ harness, namespace }) => {
        await harness.createConfigMap(namespace, 'gateway-ca', { 'ca.crt': good.cert })
        return { allowInsecureHTTP: false, caRef: { kind: 'ConfigMap', name: 'gateway-ca' } }
      },
    },
    begin: async (world) => {
      const certificate = bad()
      presented.set(world, certificate)
      world.gateway.setTls(certificate)
      // Open connections keep the old certificate.
      await world.gateway.setOutage(true)
      await world.gateway.setOutage(false)
    },
    during: (world) => world.expectConditions('RenewalHealthy', 'False/GatewayUnreachable'),
    end: (world) => world.gateway.setTls(good),
  }
}

/** All targets hold the newest token of their application. */
async function expectCurrentTokens(world: World): Promise<void> {
  for (const [target, key] of world.targets) {
    const { appKey } = ['first-token', 'second-token'].includes(target) ? world.shared : world.own
    const held = (await world.harness.data(world.namespace, target))?.[key]
    expect(held, target).toBe(world.gateway.service.currentToken(appKey))
  }
}

async function refreshAsAnotherClient({ gateway }: World, { appKey, appSecret }: World['own']): Promise<void> {
  const dispatchers = new GatewayDispatchers({ proxy: { httpProxy: '', httpsProxy: '', noProxy: '' } })
  const clock = new SystemClock()
  const observer = { onCall: () => undefined, onClockSkew: () => undefined }
  const client = new TokenClient({
    dispatchers,
    clock,
    timestamps: new Timestamps(clock),
    observer,
    userAgent: 'another-client',
  })
  const token = new Sensitive(gateway.service.currentToken(appKey) ?? '')
  const request = {
    operation: 'refresh' as const,
    gatewayUrl: gateway.url,
    appKey: new Sensitive(appKey),
    appSecret: new Sensitive(appSecret),
    timeoutMs: 5000,
    token,
  }
  expect((await client.call(request, new AbortController().signal)).kind).toBe('token')
  await dispatchers.close()
}

export const gatewayFaults: readonly FaultCase[] = [
  ...unreachable,
  ...odd,
  ...statuses,
  ...refusedRefreshes,
  ...others,
  ...clocks,
  ...tls,
]
