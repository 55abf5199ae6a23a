import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { selfSigned } from '../support/certificate.ts'
import { eventually, useHarness } from './harness.ts'

const harness = useHarness()
let namespace: string

beforeAll(async () => {
  namespace = await harness().namespace()
  await (await harness().operator({ args: ['--no-leader-elect', '--namespace', namespace] })).working()
})

/** A value that the scan of all output looks for. */
const secretValue = (): string => `s3cr3t-${randomBytes(6).toString('hex')}`

const subscriptionKey = 'Ocp-Apim-Subscription-Key'

function headersFrom(secret: string): object[] {
  return [
    { name: subscriptionKey, secretKeyRef: { name: secret, key: 'subscription' } },
    { name: 'x-plant', secretKeyRef: { name: secret, key: 'plant' } },
  ]
}

/** A gateway behind a server that demands two headers, and a resource that has them from `<name>-headers`. */
async function behindServer(name: string) {
  const keys = harness().keys()
  const values = { subscription: secretValue(), plant: secretValue() }
  const gateway = await harness().gateway({
    applications: [keys],
    requiredHeaders: { [subscriptionKey]: values.subscription, 'x-plant': values.plant },
  })
  const spec = {
    gateway: { url: gateway.url, allowInsecureHTTP: true, headersFrom: headersFrom(`${name}-headers`) },
  }
  const create = (): Promise<void> => harness().createCredential(namespace, name, gateway, keys, spec)
  return { create, gateway, values }
}

describe('headersFrom', () => {
  it('sends the values of Secrets with every call, trimmed, a get as well as a refresh', async () => {
    const { create, gateway, values } = await behindServer('sent')
    await harness().createSecret(namespace, 'sent-headers', { ...values, plant: `${values.plant}\n` })
    await create()
    await harness().expectReady(namespace, 'sent')
    await harness().patchCredential(namespace, 'sent', {
      metadata: { annotations: { 'enos.io/renew-requested-at': 'now' } },
    })
    await eventually(() => expect(gateway.calls.map(({ operation }) => operation)).toContain('refresh'))
    expect(gateway.calls.filter(({ httpStatus }) => httpStatus !== 200)).toEqual([])
  })

  it('waits for a Secret that does not exist, and says which field names it', async () => {
    const { create, gateway, values } = await behindServer('late')
    await create()
    await harness().expectCondition(namespace, 'late', 'Ready', 'False/SourceSecretNotFound')
    expect(await harness().message(namespace, 'late', 'Ready')).toContain('spec.gateway.headersFrom[0].secretKeyRef')
    expect(gateway.calls).toEqual([])
    await harness().createSecret(namespace, 'late-headers', values)
    await harness().expectReady(namespace, 'late')
  })

  it('uses a changed value in the next call, and leaves Ready and the token as they are', async () => {
    const { create, gateway, values } = await behindServer('changed')
    await harness().createSecret(namespace, 'changed-headers', values)
    await create()
    await harness().expectReady(namespace, 'changed')
    const before = await harness().data(namespace, 'changed-token')
    const transition = async (): Promise<string | undefined> => {
      const { status } = await harness().getCredential(namespace, 'changed')
      return status?.conditions.find(({ type }) => type === 'Ready')?.lastTransitionTime
    }
    const readySince = await transition()
    const plant = secretValue()
    gateway.setRequiredHeaders({ [subscriptionKey]: values.subscription, 'x-plant': plant })
    gateway.clearCalls()
    await harness().patchSecret(namespace, 'changed-headers', { stringData: { plant } })
    await eventually(() => expect(gateway.calls.map(({ httpStatus }) => httpStatus)).toContain(200))
    expect(await harness().condition(namespace, 'changed', 'Ready')).toBe('True/Synced')
    expect(await transition()).toBe(readySince)
    expect(await harness().data(namespace, 'changed-token')).toEqual(before)
  })

  it('refuses a value with a line break before any call, and quotes no value', async () => {
    const { create, gateway, values } = await behindServer('broken')
    await harness().createSecret(namespace, 'broken-headers', { ...values, plant: `${values.plant}\r\nx-other: a` })
    await create()
    await harness().expectCondition(namespace, 'broken', 'Ready', 'False/SourceKeyMissing')
    expect(await harness().message(namespace, 'broken', 'Ready')).toContain('expected printable ASCII')
    expect(gateway.calls).toEqual([])
  })

  it('of one resource are not sent with the calls of another that has other headers', async () => {
    const { create, gateway, values } = await behindServer('own')
    await harness().createSecret(namespace, 'own-headers', values)
    await create()
    await harness().expectReady(namespace, 'own')
    // The same application, by another resource without headers.
    const { appKey = '', appSecret = '' } = (await harness().data(namespace, 'own-app')) ?? {}
    await harness().createCredential(namespace, 'bare', gateway, { appKey, appSecret })
    await eventually(async () =>
      expect(await harness().condition(namespace, 'bare', 'Ready')).toMatch(/^False\/Gateway/),
    )
    expect(await harness().getSecret(namespace, 'bare-token')).toBeUndefined()
    expect(await harness().condition(namespace, 'own', 'RenewalHealthy')).toBe('True/Synced')
  })
})

describe('tlsServerName', () => {
  it('is the name that the certificate of the gateway must have', async () => {
    const keys = harness().keys()
    const { cert, key } = selfSigned({ address: [127, 0, 0, 9], names: ['gateway.example.com'] })
    const gateway = await harness().gateway({ applications: [keys], tls: { cert, key } })
    await harness().createConfigMap(namespace, 'named-ca', { 'ca.crt': cert })
    const caRef = { kind: 'ConfigMap', name: 'named-ca' }
    await harness().createCredential(namespace, 'named', gateway, keys, { gateway: { url: gateway.url, caRef } })
    await harness().expectCondition(namespace, 'named', 'Ready', 'False/GatewayUnreachable')
    await harness().patchCredential(namespace, 'named', { spec: { gateway: { tlsServerName: 'gateway.example.com' } } })
    await harness().expectReady(namespace, 'named')
  })
})
