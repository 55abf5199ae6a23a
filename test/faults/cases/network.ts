import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import { eventually } from '../../integration/harness.ts'
import { selfSigned } from '../../support/certificate.ts'
import { ConnectProxy } from '../../support/connect-proxy.ts'
import type { FaultCase } from '../fault-case.ts'
import type { World } from '../world.ts'

const certificate = selfSigned()
const proxies = new WeakMap<World, ConnectProxy>()

async function setProxyOutage(world: World, isOut: boolean): Promise<void> {
  await proxies.get(world)?.setOutage(isOut)
}

const proxyFails: FaultCase = {
  name: 'the proxy of HTTPS_PROXY refuses connections',
  expected: 'RenewalHealthy False, GatewayUnreachable, names the proxy; Ready stays; renewed when the proxy is back',
  world: {
    gateway: { tls: certificate },
    gatewaySpec: async ({ harness, namespace }) => {
      await harness.createConfigMap(namespace, 'gateway-ca', { 'ca.crt': certificate.cert })
      return { allowInsecureHTTP: false, caRef: { kind: 'ConfigMap', name: 'gateway-ca' } }
    },
    environment: async (world) => {
      const proxy = await ConnectProxy.start()
      world.cleanUps.push(() => proxy.close())
      proxies.set(world, proxy)
      return { HTTPS_PROXY: proxy.url, NO_PROXY: '' }
    },
  },
  begin: (world) => setProxyOutage(world, true),
  during: async (world) => {
    await world.expectConditions('RenewalHealthy', 'False/GatewayUnreachable')
    expect(await world.harness.condition(world.namespace, 'first', 'Ready')).toBe('True/Synced')
    // A call in progress fails by its tunnel, and only the next one by the proxy.
    await eventually(async () => {
      const message = await world.harness.message(world.namespace, 'first', 'RenewalHealthy')
      expect(message).toContain('cannot reach the proxy')
    })
  },
  end: (world) => setProxyOutage(world, false),
  after: (world) => {
    expect(new Set(proxies.get(world)?.tunnels)).toEqual(new Set([new URL(world.gateway.url).host]))
  },
}

const headerName = 'Ocp-Apim-Subscription-Key'
const headerSecret = 'gateway-headers'
const headerValue = (): string => `s3cr3t-${randomBytes(6).toString('hex')}`
const demanded = new WeakMap<World, string>()

function demand(world: World): string {
  const value = headerValue()
  demanded.set(world, value)
  world.gateway.setRequiredHeaders({ [headerName]: value })
  return value
}

const headerRotates: FaultCase = {
  name: 'a server before the gateway demands a new header value',
  expected:
    'RenewalHealthy False, GatewayRejected; Ready stays; renewed as soon as the Secret of headersFrom has the value',
  world: {
    gatewaySpec: async (world) => {
      await world.harness.createSecret(world.namespace, headerSecret, { key: demand(world) })
      return { headersFrom: [{ name: headerName, secretKeyRef: { name: headerSecret, key: 'key' } }] }
    },
  },
  begin: (world) => demand(world),
  during: async (world) => {
    await world.expectConditions('RenewalHealthy', 'False/GatewayRejected')
    expect(await world.harness.condition(world.namespace, 'first', 'Ready')).toBe('True/Synced')
  },
  end: (world) => {
    const stringData = { key: demanded.get(world) }
    return world.harness.patchSecret(world.namespace, headerSecret, { stringData })
  },
}

export const networkFaults: readonly FaultCase[] = [proxyFails, headerRotates]
