import { beforeAll, describe, expect, it } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { secrets } from '../../src/kubernetes/types.ts'
import { delay, eventually, type Keys, useHarness } from './harness.ts'
import type { OperatorProcess } from './operator-process.ts'

const harness = useHarness()
let gateway: Simulator
let namespace: string
let operator: OperatorProcess
const names = ['a', 'b', 'c', 'd', 'e']
const keys = new Map<string, Keys>()

beforeAll(async () => {
  gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  namespace = await harness().namespace()
  operator = await (await harness().operator({ args: ['--no-leader-elect', '--namespace', namespace] })).working()
  for (const name of names) {
    const own = harness().keys()
    keys.set(name, own)
    gateway.service.addApplication(own)
    await harness().createCredential(namespace, name, gateway, own, {
      targets: [
        { name: `${name}-token` },
        { name: `${name}-env`, data: { T: '{{ accessToken }}', S: '{{ appSecret }}', U: '{{ gatewayUrl }}' } },
      ],
    })
  }
  for (const name of names) await harness().expectReady(namespace, name)
})

/** resourceVersion of every object that the operator could write. */
async function versions(): Promise<Record<string, string | undefined>> {
  const found: Record<string, string | undefined> = {}
  for (const name of names) {
    found[name] = (await harness().getCredential(namespace, name)).metadata.resourceVersion
    for (const target of [`${name}-token`, `${name}-env`]) {
      found[target] = (await harness().getSecret(namespace, target))?.metadata.resourceVersion
    }
  }
  return found
}

async function restart(meanwhile: () => Promise<void> = async () => {}): Promise<void> {
  expect(await operator.end()).toBe(0)
  await meanwhile()
  gateway.clearCalls()
  operator = await (await harness().operator({ args: ['--no-leader-elect', '--namespace', namespace] })).working()
}

describe('a restart', () => {
  it('a restart takes over without a call to the gateway, a write or the read of a Secret', async () => {
    const before = await versions()
    await restart()
    await delay(1500)
    expect(gateway.calls).toEqual([])
    expect(await versions()).toEqual(before)
    for (const method of ['POST', 'PATCH', 'PUT', 'DELETE']) {
      expect(await operator.metric('rest_client_requests_total', { method })).toBe(0)
    }
    // A list and a watch for credentials, and for the metadata of Secrets.
    expect(await operator.metric('rest_client_requests_total', { method: 'GET' })).toBe(4)
    // The metric exists all the same.
    expect(await operator.metric('enos_credential_condition', { type: 'Ready', status: 'True' })).toBe(names.length)
  })

  it('a restart reads the token back, without a call, where a target was altered meanwhile', async () => {
    const before = await harness().data(namespace, 'a-token')
    await restart(async () => {
      await harness().patchSecret(namespace, 'a-env', { stringData: { T: 'altered' } })
    })
    await eventually(async () =>
      expect((await harness().data(namespace, 'a-env'))?.['T']).toBe(before?.['accessToken']),
    )
    expect(gateway.calls).toEqual([])
  })

  it('a restart does not trust a token other than the recorded one', async () => {
    await restart(async () => {
      for (const target of ['b-token', 'b-env']) {
        await harness().patchSecret(namespace, target, {
          data: {
            accessToken: Buffer.from('planted').toString('base64'),
            T: Buffer.from('planted').toString('base64'),
          },
        })
      }
    })
    await eventually(async () => {
      const token = gateway.service.currentToken(keys.get('b')?.appKey ?? '')
      expect((await harness().data(namespace, 'b-token'))?.['accessToken']).toBe(token)
      expect((await harness().data(namespace, 'b-env'))?.['T']).toBe(token)
    })
    expect(gateway.calls.map(({ operation }) => operation)).toEqual(['get'])
  })

  it('a restart uses a source Secret that changed meanwhile', async () => {
    const next = harness().keys()
    gateway.service.addApplication(next)
    await restart(() => harness().patchSecret(namespace, 'c-app', { stringData: { ...next } }))
    await eventually(async () => {
      expect((await harness().data(namespace, 'c-env'))?.['S']).toBe(next.appSecret)
      expect((await harness().data(namespace, 'c-token'))?.['accessToken']).toBe(
        gateway.service.currentToken(next.appKey),
      )
    })
    expect(gateway.calls.map(({ operation }) => operation)).toEqual(['get'])
  })

  it('a restart prunes targets that left the spec meanwhile, and those of deleted resources', async () => {
    await restart(async () => {
      await harness().patchCredential(namespace, 'd', { spec: { targets: [{ name: 'd-token' }] } })
    })
    await eventually(async () => expect(await harness().getSecret(namespace, 'd-env')).toBeUndefined())
    expect(gateway.calls).toEqual([])
  })

  it('a SIGKILL during first syncs ends with one token on each target and no second token of the application', async () => {
    const own = harness().keys()
    gateway.service.addApplication(own)
    for (const name of ['k1', 'k2', 'k3']) await harness().createCredential(namespace, name, gateway, own)
    operator.signal('SIGKILL')
    expect(await operator.exited()).toBeNull()
    operator = await (await harness().operator({ args: ['--no-leader-elect', '--namespace', namespace] })).working()
    for (const name of ['k1', 'k2', 'k3']) {
      await harness().expectReady(namespace, name)
      const data = await harness().data(namespace, `${name}-token`)
      expect(data?.['accessToken']).toBe(gateway.service.currentToken(own.appKey))
    }
    const { items } = await harness().admin.list(secrets, namespace, {
      labelSelector: 'enos.io/credential in (k1,k2,k3)',
    })
    expect(items).toHaveLength(3)
  })
})

describe('the process', () => {
  it('the process answers its probes and exits with code 0 within 10 s of SIGTERM', async () => {
    expect(await operator.probe('/healthz')).toBe(200)
    expect(await operator.probe('/readyz')).toBe(200)
    const begun = performance.now()
    expect(await operator.end()).toBe(0)
    expect(performance.now() - begun).toBeLessThan(10_000)
  })
})
