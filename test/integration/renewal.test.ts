import { beforeAll, describe, expect, it } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { delay, eventually, type Keys, useHarness } from './harness.ts'
import type { OperatorProcess } from './operator-process.ts'
import { Referee } from './referee.ts'

const harness = useHarness()
let operator: OperatorProcess
let namespace: string

beforeAll(async () => {
  namespace = await harness().namespace()
  operator = await (await harness().operator()).working()
})

/** A gateway with short-lived tokens, and one application. */
async function gatewayWith(options: Parameters<ReturnType<typeof harness>['gateway']>[0]): Promise<[Simulator, Keys]> {
  const keys = harness().keys()
  return [await harness().gateway({ applications: [keys], ...options }), keys]
}

function refereeOf(gateway: Simulator, target: string): Referee {
  const isValid = (token: string): boolean => gateway.service.isValid(token)
  return new Referee({ harness: harness(), namespace, isValid, targets: new Map([[target, 'accessToken']]) })
}

const operations = (gateway: Simulator): string[] => gateway.calls.map(({ operation }) => operation)

describe.concurrent('a token', () => {
  it('a token is renewed before it expires, by get and then refresh, and no target ever holds an expired one', async () => {
    const [gateway, keys] = await gatewayWith({ lifetimeSeconds: 6 })
    await harness().createCredential(namespace, 'steady', gateway, keys)
    await harness().expectReady(namespace, 'steady')
    const referee = refereeOf(gateway, 'steady-token')
    await delay(9000)
    const { expired, samples, tokens } = await referee.stop()
    expect(samples).toBeGreaterThan(40)
    expect(expired).toBe(0)
    expect(tokens).toBeGreaterThanOrEqual(3)
    const calls = operations(gateway)
    expect(calls[0]).toBe('get')
    // Every renewal: one get, one refresh.
    expect(calls.filter((call) => call === 'refresh').length).toBe((calls.length - 1) / 2)
    expect(calls.length).toBeLessThanOrEqual(1 + 2 * 5)
    const { status } = await harness().getCredential(namespace, 'steady')
    expect(status?.lastRenewalMethod).toBe('refresh')
    expect(
      await operator.metric('enos_credential_renewals_total', { name: 'steady', method: 'refresh', result: 'success' }),
    ).toBeGreaterThanOrEqual(2)
    expect(await operator.metric('enos_credential_expired_seconds_total', { name: 'steady' })).toBe(0)
    // Routine renewals make no events.
    expect(await harness().eventReasons(namespace, 'steady')).toEqual(['Synced'])
  })

  it('a token that another client renewed is taken over with one get and no refresh', async () => {
    const [gateway, keys] = await gatewayWith({ lifetimeSeconds: 8 })
    await harness().createCredential(namespace, 'other', gateway, keys)
    await harness().expectReady(namespace, 'other')
    gateway.service.revoke(keys.appKey)
    gateway.clearCalls()
    await eventually(() => expect(operations(gateway)).toContain('get'), 8000)
    await eventually(async () => {
      const data = await harness().data(namespace, 'other-token')
      expect(data?.['accessToken']).toBe(gateway.service.currentToken(keys.appKey))
    })
    expect(operations(gateway)).toEqual(['get'])
  })

  it.each([1203, 1204])('a refresh refused with %i is followed by get', async (status) => {
    const [gateway, keys] = await gatewayWith({ lifetimeSeconds: 6 })
    const name = `refused-${status}`
    await harness().createCredential(namespace, name, gateway, keys)
    await harness().expectReady(namespace, name)
    gateway.clearCalls()
    gateway.setFaults([{ operation: 'refresh', count: 1, fault: { kind: 'status', status } }])
    await eventually(() => expect(operations(gateway).slice(0, 4)).toEqual(['get', 'refresh', 'get', 'refresh']), 8000)
    await harness().expectReady(namespace, name)
  })

  it('Ready stays True while a renewal fails, and RenewalHealthy reports the failure', async () => {
    const [gateway, keys] = await gatewayWith({ lifetimeSeconds: 12 })
    await harness().createCredential(namespace, 'failing', gateway, keys)
    await harness().expectReady(namespace, 'failing')
    gateway.setFaults([{ fault: { kind: 'http', status: 503 } }])
    await harness().expectCondition(namespace, 'failing', 'RenewalHealthy', 'False/GatewayError', 10_000)
    expect(await harness().condition(namespace, 'failing', 'Ready')).toBe('True/Synced')
    // The metric follows the operator's watch.
    await eventually(async () => {
      const labels = { name: 'failing', type: 'RenewalHealthy', status: 'False' }
      expect(await operator.metric('enos_credential_condition', labels)).toBe(1)
    })
    gateway.setFaults([])
    await harness().expectCondition(namespace, 'failing', 'RenewalHealthy', 'True/Synced', 5000)
    await eventually(async () =>
      expect(await harness().eventReasons(namespace, 'failing')).toEqual(
        expect.arrayContaining(['Synced', 'GatewayError', 'Renewed']),
      ),
    )
  })

  it('a token that expires in an outage gives TokenExpired and is replaced when the gateway is back', async () => {
    const [gateway, keys] = await gatewayWith({ lifetimeSeconds: 4 })
    await harness().createCredential(namespace, 'expired', gateway, keys)
    await harness().expectReady(namespace, 'expired')
    await gateway.setOutage(true)
    // From then on the operator has no newer token: the outage may have come amid a renewal.
    await harness().expectCondition(namespace, 'expired', 'RenewalHealthy', 'False/GatewayUnreachable', 8000)
    const old = await harness().data(namespace, 'expired-token')
    await harness().expectCondition(namespace, 'expired', 'Ready', 'False/TokenExpired', 8000)
    expect(await harness().data(namespace, 'expired-token')).toEqual(old)
    await gateway.setOutage(false)
    await harness().expectReady(namespace, 'expired', 10_000)
    expect(await operator.metric('enos_credential_expired_seconds_total', { name: 'expired' })).toBeGreaterThan(0)
  })

  it('the annotation renews at once, one time for each new value', async () => {
    const [gateway, keys] = await gatewayWith({ lifetimeSeconds: 7200 })
    await harness().createCredential(namespace, 'asked', gateway, keys)
    await harness().expectReady(namespace, 'asked')
    const before = await harness().data(namespace, 'asked-token')
    gateway.clearCalls()
    await harness().patchCredential(namespace, 'asked', {
      metadata: { annotations: { 'enos.io/renew-requested-at': 'one' } },
    })
    await eventually(async () => {
      const { status } = await harness().getCredential(namespace, 'asked')
      expect(status?.lastHandledRenewRequest).toBe('one')
    })
    expect(await harness().data(namespace, 'asked-token')).not.toEqual(before)
    await delay(500)
    expect(operations(gateway)).toEqual(['get', 'refresh'])
  })

  it('a suspended resource makes no call and no write, and Ready falls at expiry', async () => {
    const [gateway, keys] = await gatewayWith({ lifetimeSeconds: 4 })
    await harness().createCredential(namespace, 'suspended', gateway, keys)
    await harness().expectReady(namespace, 'suspended')
    await harness().patchCredential(namespace, 'suspended', { spec: { suspend: true } })
    await harness().expectCondition(namespace, 'suspended', 'Ready', 'True/Suspended')
    gateway.clearCalls()
    await harness().expectCondition(namespace, 'suspended', 'Ready', 'False/TokenExpired', 8000)
    await harness().deleteSecret(namespace, 'suspended-token')
    await delay(500)
    expect(await harness().getSecret(namespace, 'suspended-token')).toBeUndefined()
    expect(gateway.calls).toEqual([])
    await harness().patchCredential(namespace, 'suspended', { spec: { suspend: false } })
    await harness().expectReady(namespace, 'suspended')
  })

  it('a larger renewBefore renews earlier, clamped to half of the lifetime with an event', async () => {
    const [gateway, keys] = await gatewayWith({ lifetimeSeconds: 100 })
    await harness().createCredential(namespace, 'clamped', gateway, keys, { renewBefore: '90s' })
    await harness().expectReady(namespace, 'clamped')
    const { status } = await harness().getCredential(namespace, 'clamped')
    const beforeExpiry = (Date.parse(status?.expiresAt ?? '') - Date.parse(status?.nextRenewalAt ?? '')) / 1000
    expect(beforeExpiry).toBeGreaterThanOrEqual(50)
    expect(beforeExpiry).toBeLessThanOrEqual(56)
    await eventually(async () =>
      expect(await harness().eventReasons(namespace, 'clamped')).toContain('RenewBeforeClamped'),
    )
  })
})

describe.concurrent('an application', () => {
  it('resources of one application share one call and one token and renew together', async () => {
    const [gateway, keys] = await gatewayWith({ lifetimeSeconds: 8, doesRefreshKillOld: true })
    const names = ['shared-a', 'shared-b', 'shared-c', 'shared-d']
    await Promise.all(names.map((name) => harness().createCredential(namespace, name, gateway, keys)))
    for (const name of names) await harness().expectReady(namespace, name)
    expect(operations(gateway)).toEqual(['get'])
    const first = gateway.service.currentToken(keys.appKey)
    await eventually(() => expect(gateway.service.currentToken(keys.appKey)).not.toBe(first), 8000)
    await eventually(async () => {
      for (const name of names) {
        const data = await harness().data(namespace, `${name}-token`)
        expect(data?.['accessToken']).toBe(gateway.service.currentToken(keys.appKey))
      }
    }, 1000)
    expect(operations(gateway)).toEqual(['get', 'get', 'refresh'])
  })

  it('a resource that knows the appKey only gets no token', async () => {
    const [gateway, keys] = await gatewayWith({ lifetimeSeconds: 7200 })
    await harness().createCredential(namespace, 'owner', gateway, keys)
    await harness().expectReady(namespace, 'owner')
    await harness().createCredential(namespace, 'thief', gateway, { appKey: keys.appKey, appSecret: 's3cr3t-guess' })
    await harness().expectCondition(namespace, 'thief', 'Ready', 'False/InvalidAppSecret')
    expect(await harness().getSecret(namespace, 'thief-token')).toBeUndefined()
    expect(await harness().condition(namespace, 'owner', 'RenewalHealthy')).toBe('True/Synced')
  })
})

describe.concurrent('the method', () => {
  it('method Get writes the new token within a second of the old one’s expiry, with bounded calls', async () => {
    const [gateway, keys] = await gatewayWith({ lifetimeSeconds: 4 })
    await harness().createCredential(namespace, 'polled', gateway, keys, { renewalMethod: 'Get' })
    await harness().expectReady(namespace, 'polled')
    const referee = refereeOf(gateway, 'polled-token')
    await delay(9500)
    const { maxExpiredMs, tokens } = await referee.stop()
    expect(tokens).toBeGreaterThanOrEqual(3)
    expect(maxExpiredMs).toBeLessThan(1000)
    expect(operations(gateway)).not.toContain('refresh')
    expect(gateway.calls.length).toBeLessThanOrEqual(1 + 3 * 6)
    expect(await harness().condition(namespace, 'polled', 'Ready')).toBe('True/Synced')
  })

  it('method Auto falls back to get on a gateway without refresh, says so, and finds out once for all', async () => {
    const [gateway, keys] = await gatewayWith({ lifetimeSeconds: 4, hasRefresh: false })
    const other = harness().keys()
    gateway.service.addApplication(other)
    await harness().createCredential(namespace, 'auto', gateway, keys)
    await harness().createCredential(namespace, 'auto-too', gateway, other)
    await harness().expectCondition(namespace, 'auto', 'RenewalHealthy', 'True/RefreshNotSupported', 8000)
    await delay(6000)
    await harness().expectReady(namespace, 'auto')
    await harness().expectReady(namespace, 'auto-too')
    // A second 404 is needed as proof, and both applications may try at the same time.
    expect(operations(gateway).filter((call) => call === 'refresh').length).toBeLessThanOrEqual(4)
  })

  it('method Refresh says so on a gateway without refresh, and renews by get all the same', async () => {
    const [gateway, keys] = await gatewayWith({ lifetimeSeconds: 4, hasRefresh: false })
    await harness().createCredential(namespace, 'demanding', gateway, keys, { renewalMethod: 'Refresh' })
    await harness().expectCondition(namespace, 'demanding', 'RenewalHealthy', 'False/RefreshNotSupported', 8000)
  })
})

describe.concurrent('verifyEvery', () => {
  it('a token that another client revoked is found and replaced on all targets', async () => {
    const [gateway, keys] = await gatewayWith({ lifetimeSeconds: 7200 })
    await harness().createCredential(namespace, 'verified', gateway, keys, { verifyEvery: '10s' })
    await harness().createCredential(namespace, 'verified-too', gateway, keys)
    await harness().expectReady(namespace, 'verified')
    await harness().expectReady(namespace, 'verified-too')
    gateway.service.revoke(keys.appKey)
    gateway.clearCalls()
    await eventually(async () => {
      for (const name of ['verified', 'verified-too']) {
        const data = await harness().data(namespace, `${name}-token`)
        expect(data?.['accessToken']).toBe(gateway.service.currentToken(keys.appKey))
        expect(data?.['accessToken']).toBeDefined()
      }
    }, 12_000)
    expect(operations(gateway)).toEqual(['get'])
  })
})
