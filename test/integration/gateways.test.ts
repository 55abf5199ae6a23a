import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import type { Simulator } from '../../simulator/server.ts'
import { configMaps, type KubernetesObject } from '../../src/kubernetes/types.ts'
import { selfSigned } from '../support/certificate.ts'
import { ConnectProxy } from '../support/connect-proxy.ts'
import { eventually, type Keys, useHarness } from './harness.ts'

const harness = useHarness()
let namespace: string

beforeAll(async () => {
  namespace = await harness().namespace()
  await (await harness().operator({ args: ['--no-leader-elect', '--namespace', namespace] })).working()
})

/** A gateway with a certificate of an unknown CA. */
async function tlsGateway(): Promise<{ gateway: Simulator; keys: Keys; cert: string }> {
  const keys = harness().keys()
  const { cert, key } = selfSigned()
  return { gateway: await harness().gateway({ applications: [keys], tls: { cert, key } }), keys, cert }
}

describe('TLS', () => {
  it('TLS is verified, and a watched caRef adds CAs from a ConfigMap or a Secret', async () => {
    const { cert, gateway, keys } = await tlsGateway()
    const spec = (kind: string, name: string): object => ({ gateway: { url: gateway.url, caRef: { kind, name } } })
    await harness().createCredential(namespace, 'untrusted', gateway, keys)
    await harness().expectCondition(namespace, 'untrusted', 'Ready', 'False/GatewayUnreachable')
    expect(await harness().message(namespace, 'untrusted', 'Ready')).toMatch(/CERT/)

    await harness().createCredential(namespace, 'by-map', gateway, keys, { ...spec('ConfigMap', 'ca-map') })
    await harness().expectCondition(namespace, 'by-map', 'Ready', 'False/SourceSecretNotFound')
    await harness().createConfigMap(namespace, 'ca-map', { 'ca.crt': 'not a certificate' })
    await harness().expectCondition(namespace, 'by-map', 'Ready', 'False/InvalidCA')
    await harness().admin.patch(
      configMaps,
      { namespace, name: 'ca-map' },
      { type: 'merge', body: { data: { 'ca.crt': cert } } },
    )
    await harness().expectReady(namespace, 'by-map', 3000)

    await harness().createSecret(namespace, 'ca-secret', { 'ca.crt': cert })
    await harness().createCredential(namespace, 'by-secret', gateway, keys, { ...spec('Secret', 'ca-secret') })
    await harness().expectReady(namespace, 'by-secret')
    // A caRef counts for its own resource only.
    expect(await harness().condition(namespace, 'untrusted', 'Ready')).toBe('False/GatewayUnreachable')
  })
})

describe('--allowed-gateways', () => {
  it('a gateway that is not allowed gives GatewayNotAllowed and gets no call', async () => {
    const keys = harness().keys()
    const allowed = await harness().gateway({ applications: [keys] })
    const refused = await harness().gateway({ applications: [keys] })
    const { host } = new URL(allowed.url)
    const other = await harness().namespace()
    const args = ['--no-leader-elect', '--namespace', other, `--allowed-gateways=*.example.com,${host}`]
    await (await harness().operator({ args })).working()
    await harness().createCredential(other, 'allowed', allowed, keys)
    await harness().createCredential(other, 'refused', refused, keys)
    await harness().expectReady(other, 'allowed')
    await harness().expectCondition(other, 'refused', 'Stalled', 'True/GatewayNotAllowed')
    expect(refused.calls).toEqual([])
    expect(await harness().getSecret(other, 'refused-token')).toBeUndefined()
  })
})

describe('link-local addresses', () => {
  it('a link-local address is refused', async () => {
    const keys = harness().keys()
    await harness().createCredential(namespace, 'metadata', { url: 'http://169.254.169.254' }, keys)
    await harness().expectCondition(namespace, 'metadata', 'Ready', 'False/GatewayUnreachable')
    expect(await harness().message(namespace, 'metadata', 'Ready')).toContain('LINK_LOCAL_ADDRESS_REFUSED')
  })
})

describe('a timeout', () => {
  it('a call that hangs ends at its timeout', async () => {
    const keys = harness().keys()
    const gateway = await harness().gateway({ applications: [keys] })
    gateway.setFaults([{ count: 1, fault: { kind: 'hang' } }])
    const begun = performance.now()
    await harness().createCredential(namespace, 'hanging', gateway, keys, {
      gateway: { url: gateway.url, allowInsecureHTTP: true, timeout: '1s' },
    })
    await harness().expectReady(namespace, 'hanging')
    expect(performance.now() - begun).toBeLessThan(5000)
    expect(gateway.calls).toHaveLength(2)
  })
})

describe('a proxy', () => {
  let proxy: ConnectProxy

  beforeAll(async () => {
    proxy = await ConnectProxy.start()
  })

  afterAll(() => proxy.close())

  it('HTTPS_PROXY is used for gateways outside of NO_PROXY and never for the API server', async () => {
    const [through, direct] = [await tlsGateway(), await tlsGateway()]
    const other = await harness().namespace()
    const env = {
      HTTPS_PROXY: proxy.url,
      NO_PROXY: new URL(direct.gateway.url).host,
    }
    await (await harness().operator({ args: ['--no-leader-elect', '--namespace', other], env })).working()
    for (const [name, { cert, gateway, keys }] of Object.entries({ through, direct })) {
      await harness().createConfigMap(other, `${name}-ca`, { 'ca.crt': cert })
      const caRef = { kind: 'ConfigMap', name: `${name}-ca` }
      await harness().createCredential(other, name, gateway, keys, { gateway: { url: gateway.url, caRef } })
      await harness().expectReady(other, name)
    }
    expect(new Set(proxy.tunnels)).toEqual(new Set([new URL(through.gateway.url).host]))
  })
})

describe('--namespace', () => {
  it('--namespace given twice watches two namespaces and reads nothing else', async () => {
    const [one, two, three] = [await harness().namespace(), await harness().namespace(), await harness().namespace()]
    const keys = harness().keys()
    const gateway = await harness().gateway({ applications: [keys] })
    const kubeconfig = await identityWithRoles([one, two])
    const args = ['--no-leader-elect', '--namespace', one, '--namespace', two]
    const operator = await (await harness().operator({ args, kubeconfig })).working()
    for (const namespace of [one, two, three]) await harness().createCredential(namespace, 'here', gateway, keys)
    await harness().expectReady(one, 'here')
    await harness().expectReady(two, 'here')
    expect(await harness().condition(three, 'here', 'Ready')).toBe('none')
    expect(await operator.metric('rest_client_requests_total', { code: '403' })).toBe(0)
  })

  /** The service account of deploy/namespaced: Roles only, in these namespaces. @returns its kubeconfig */
  async function identityWithRoles(namespaces: readonly string[]): Promise<string> {
    const [home = ''] = namespaces
    const directory = new URL('../../deploy/namespaced', import.meta.url).pathname
    const manifests = await harness().kubectl(['kustomize', directory])
    expect(manifests).not.toContain('ClusterRole')
    const roles = parseAllDocuments(manifests)
      .map((document) => document.toJS() as KubernetesObject & { subjects?: { namespace: string }[] })
      .filter(({ kind, metadata }) => /^Role/.test(kind ?? '') && !metadata.name?.includes('leader-election'))
    expect(roles).toHaveLength(2)
    for (const namespace of namespaces) {
      for (const role of roles) {
        const subjects = role.subjects?.map((subject) => ({ ...subject, namespace: home }))
        const moved = { ...role, metadata: { ...role.metadata, namespace }, ...(subjects && { subjects }) }
        await harness().kubectl(['apply', '-f', '-'], JSON.stringify(moved))
      }
    }
    const account = 'enos-credential-operator'
    const kubeconfig = await harness().serviceAccount(home, account)
    for (const namespace of namespaces) {
      await harness().waitUntilAllowed(namespace, `${home}:${account}`, 'list', 'secrets')
    }
    return kubeconfig
  }
})

describe('two gateways', () => {
  it('a gateway that hangs, with many applications, does not delay another gateway', async () => {
    const other = await harness().namespace()
    const args = ['--no-leader-elect', '--namespace', other, '--gateway-max-concurrency', '2']
    await (await harness().operator({ args })).working()
    const [slow, quick] = [await harness().gateway(), await harness().gateway()]
    slow.setFaults([{ fault: { kind: 'hang' } }])
    for (let i = 0; i < 6; i++) await harness().createCredential(other, `slow-${i}`, slow, harness().keys())
    const keys = harness().keys()
    quick.service.addApplication(keys)
    await harness().createCredential(other, 'quick', quick, keys)
    await harness().expectReady(other, 'quick', 2000)
    await eventually(() => expect(slow.calls.length).toBe(2))
  })
})
