import { beforeAll, describe, expect, it } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { eventually, type Keys, useHarness } from './harness.ts'
import type { OperatorProcess } from './operator-process.ts'

const harness = useHarness()
let operator: OperatorProcess
let gateway: Simulator
let namespace: string

beforeAll(async () => {
  gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  namespace = await harness().namespace()
  operator = await (await harness().operator()).working()
})

function application(): Keys {
  const keys = harness().keys()
  gateway.service.addApplication(keys)
  return keys
}

function callsOf({ appKey }: Keys): number {
  return gateway.calls.filter((call) => call.appKey === appKey).length
}

describe('the first sync', () => {
  it('the first sync writes token and expiry under the default keys, with owner, labels and annotations', async () => {
    const keys = application()
    await harness().createCredential(namespace, 'plain', gateway, keys)
    await harness().expectReady(namespace, 'plain')

    const { metadata, status } = await harness().getCredential(namespace, 'plain')
    expect(await harness().data(namespace, 'plain-token')).toEqual({
      accessToken: gateway.service.currentToken(keys.appKey),
      expiresAt: status?.expiresAt,
    })
    const secret = await harness().getSecret(namespace, 'plain-token')
    expect(secret).toMatchObject({
      type: 'Opaque',
      metadata: {
        labels: { 'app.kubernetes.io/managed-by': 'enos-credential-operator', 'enos.io/credential': 'plain' },
        annotations: { 'enos.io/expires-at': status?.expiresAt, 'enos.io/issued-at': status?.issuedAt },
        ownerReferences: [
          {
            apiVersion: 'enos.io/v1alpha1',
            kind: 'EnosAppCredential',
            name: 'plain',
            uid: metadata.uid,
            controller: true,
            blockOwnerDeletion: false,
          },
        ],
      },
    })
    expect(callsOf(keys)).toBe(1)
  })

  it('the first sync is recorded in the status, in whole seconds of UTC', async () => {
    const keys = application()
    await harness().createCredential(namespace, 'told', gateway, keys)
    await harness().expectReady(namespace, 'told')
    const { status } = await harness().getCredential(namespace, 'told')
    const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/
    expect(status).toMatchObject({
      observedGeneration: 1,
      consecutiveFailures: 0,
      lastRenewalMethod: 'get',
      gateway: gateway.url,
      tokenFingerprint: expect.stringMatching(/^[0-9a-f]{12}$/) as string,
      expiresAt: expect.stringMatching(time) as string,
      issuedAt: expect.stringMatching(time) as string,
      lastRenewalAt: expect.stringMatching(time) as string,
      nextRenewalAt: expect.stringMatching(time) as string,
    })
    expect(status?.conditions.map(({ type }) => type).sort()).toEqual(['Ready', 'RenewalHealthy'])
    const [lifetime, window] = [7200, 1440]
    const untilRenewal = (Date.parse(status?.nextRenewalAt ?? '') - Date.parse(status?.issuedAt ?? '')) / 1000
    expect(untilRenewal).toBeLessThanOrEqual(lifetime - window)
    expect(untilRenewal).toBeGreaterThanOrEqual(lifetime - window - 0.05 * lifetime - 1)
  })

  it('the first sync emits one event, Synced', async () => {
    await harness().createCredential(namespace, 'event', gateway, application())
    await harness().expectReady(namespace, 'event')
    await eventually(async () => expect(await harness().eventReasons(namespace, 'event')).toEqual(['Synced']))
  })

  it('templates are rendered into several targets, with type, labels and annotations', async () => {
    const keys = application()
    await harness().createCredential(namespace, 'several', gateway, keys, {
      targets: [
        {
          name: 'several-env',
          type: 'example.com/env',
          labels: { team: 'wind' },
          annotations: { 'example.com/note': 'x' },
          data: {
            '.env': 'TOKEN={{ accessToken }}\nKEY={{ appKey }}\n',
            'auth.json': '{"secret":{{ appSecret | json }},"gateway":"{{ gatewayUrl }}","at":{{ expiresAtUnix }}}',
            basic: '{{ appKey | append: ":" | append: appSecret | base64_encode }}',
            who: '{{ namespace }}/{{ name }}',
          },
        },
        { name: 'several-plain' },
      ],
    })
    await harness().expectReady(namespace, 'several')
    const token = gateway.service.currentToken(keys.appKey) ?? ''
    const { status } = await harness().getCredential(namespace, 'several')
    expect(await harness().data(namespace, 'several-env')).toEqual({
      '.env': `TOKEN=${token}\nKEY=${keys.appKey}\n`,
      'auth.json': `{"secret":"${keys.appSecret}","gateway":"${gateway.url}","at":${Date.parse(status?.expiresAt ?? '') / 1000}}`,
      basic: Buffer.from(`${keys.appKey}:${keys.appSecret}`).toString('base64'),
      who: `${namespace}/several`,
    })
    expect(await harness().getSecret(namespace, 'several-env')).toMatchObject({
      type: 'example.com/env',
      metadata: {
        labels: expect.objectContaining({ team: 'wind' }) as object,
        annotations: expect.objectContaining({ 'example.com/note': 'x' }) as object,
      },
    })
    expect((await harness().data(namespace, 'several-plain'))?.['accessToken']).toBe(token)
    expect(callsOf(keys)).toBe(1)
  })
})

describe('sources', () => {
  it('a missing source is named in the condition and used as soon as it exists', async () => {
    const keys = application()
    await harness().createSecret(namespace, 'late-other', { appKey: 'x' })
    await harness().createCredential(namespace, 'late', gateway, keys, {
      appKeyRef: { name: 'late-source' },
      appSecretRef: { name: 'late-source', key: 'secret' },
    })
    await harness().expectCondition(namespace, 'late', 'Ready', 'False/SourceSecretNotFound')
    await harness().expectCondition(namespace, 'late', 'Stalled', 'True/SourceSecretNotFound')
    expect(await harness().message(namespace, 'late', 'Ready')).toContain('late-source')
    expect(callsOf(keys)).toBe(0)
    await harness().createSecret(namespace, 'late-source', { appKey: keys.appKey, secret: keys.appSecret })
    await harness().expectReady(namespace, 'late', 2000)
    expect(await harness().condition(namespace, 'late', 'Stalled')).toBe('none')
  })

  it.each([
    ['a key that is missing', { appKey: 'k3y-a' }, 'appSecret'],
    ['a value that is empty', { appKey: 'k3y-a', appSecret: '' }, 'appSecret'],
    ['a value of newlines only', { appKey: '\n\n', appSecret: 's3cr3t-a' }, 'appKey'],
  ])('with %s are SourceKeyMissing, and the key is named', async (what, data, key) => {
    const name = `broken-${what.replaceAll(' ', '-')}`
    await harness().createSecret(namespace, `${name}-app`, data)
    await harness().createCredential(namespace, name, gateway, { appKey: '', appSecret: '' })
    await harness().expectCondition(namespace, name, 'Ready', 'False/SourceKeyMissing')
    expect(await harness().message(namespace, name, 'Ready')).toContain(`key ${key} of Secret ${name}-app`)
  })

  it('a source that ends in newlines is trimmed, with a warning event', async () => {
    const keys = application()
    await harness().createSecret(namespace, 'trimmed-app', {
      appKey: keys.appKey,
      appSecret: `${keys.appSecret}\r\n\n`,
    })
    await harness().createCredential(namespace, 'trimmed', gateway, keys)
    await harness().expectReady(namespace, 'trimmed')
    await eventually(async () => expect(await harness().eventReasons(namespace, 'trimmed')).toContain('SourceTrimmed'))
  })

  it('a service-account token is refused as a source', async () => {
    await harness().kubectl(['-n', namespace, 'create', 'serviceaccount', 'robot'])
    await harness().createSecret(
      namespace,
      'robot-app',
      { appKey: 'k3y-r', appSecret: 's3cr3t-r' },
      {
        metadata: { name: 'robot-app', annotations: { 'kubernetes.io/service-account.name': 'robot' } },
        type: 'kubernetes.io/service-account-token',
      },
    )
    await harness().createCredential(namespace, 'robot', gateway, harness().keys())
    await harness().expectCondition(namespace, 'robot', 'Ready', 'False/SourceForbidden')
  })

  it('a rotated source is used within a second', async () => {
    const keys = application()
    await harness().createCredential(namespace, 'rotated', gateway, keys)
    await harness().expectReady(namespace, 'rotated')
    const next = application()
    await harness().patchSecret(namespace, 'rotated-app', { stringData: { ...next } })
    await eventually(async () => {
      const data = await harness().data(namespace, 'rotated-token')
      expect(data?.['accessToken']).toBe(gateway.service.currentToken(next.appKey))
    }, 1000)
    await harness().expectReady(namespace, 'rotated')
  })

  it('a wrong appSecret stalls the resource until a second after it is corrected', async () => {
    const keys = application()
    await harness().createSecret(namespace, 'wrong-app', { appKey: keys.appKey, appSecret: 's3cr3t-wrong' })
    await harness().createCredential(namespace, 'wrong', gateway, keys)
    await harness().expectCondition(namespace, 'wrong', 'Ready', 'False/InvalidAppSecret')
    await harness().expectCondition(namespace, 'wrong', 'Stalled', 'True/InvalidAppSecret')
    await harness().patchSecret(namespace, 'wrong-app', { stringData: { appSecret: keys.appSecret } })
    await harness().expectReady(namespace, 'wrong', 1000)
  })

  it('an unknown appKey gives AppKeyNotFound', async () => {
    await harness().createCredential(namespace, 'unknown', gateway, harness().keys())
    await harness().expectCondition(namespace, 'unknown', 'Ready', 'False/AppKeyNotFound')
  })

  it('a change of the appSecret alone leaves Ready as it is', async () => {
    const keys = application()
    await harness().createCredential(namespace, 'same-key', gateway, keys)
    await harness().expectReady(namespace, 'same-key')
    await harness().patchSecret(namespace, 'same-key-app', { stringData: { appSecret: 's3cr3t-mistyped' } })
    await harness().expectCondition(namespace, 'same-key', 'RenewalHealthy', 'False/InvalidAppSecret')
    expect(await harness().condition(namespace, 'same-key', 'Ready')).toBe('True/Synced')
    await harness().patchSecret(namespace, 'same-key-app', { stringData: { appSecret: keys.appSecret } })
    await harness().expectCondition(namespace, 'same-key', 'RenewalHealthy', 'True/Synced', 2000)
  })
})

describe('targets', () => {
  it('a deleted or altered target is repaired at once, without a call to the gateway', async () => {
    const keys = application()
    await harness().createCredential(namespace, 'repaired', gateway, keys)
    await harness().expectReady(namespace, 'repaired')
    const good = await harness().data(namespace, 'repaired-token')
    const isGood = async (): Promise<void> => expect(await harness().data(namespace, 'repaired-token')).toEqual(good)

    await harness().deleteSecret(namespace, 'repaired-token')
    await eventually(isGood, 2000)
    await harness().patchSecret(namespace, 'repaired-token', { stringData: { accessToken: 'x', intruder: 'y' } })
    await eventually(isGood, 2000)
    await harness().patchSecret(namespace, 'repaired-token', { data: { accessToken: null } })
    await eventually(isGood, 2000)
    expect(callsOf(keys)).toBe(1)
  })

  it('a label and an owner reference of a target are repaired at once, without a call to the gateway', async () => {
    const keys = application()
    await harness().createCredential(namespace, 'relabelled', gateway, keys)
    await harness().expectReady(namespace, 'relabelled')
    await harness().patchSecret(namespace, 'relabelled-token', { metadata: { labels: { 'enos.io/credential': null } } })
    await eventually(async () => {
      const secret = await harness().getSecret(namespace, 'relabelled-token')
      expect(secret?.metadata.labels?.['enos.io/credential']).toBe('relabelled')
    }, 2000)
    await harness().patchSecret(namespace, 'relabelled-token', { metadata: { ownerReferences: null } })
    await eventually(async () => {
      const secret = await harness().getSecret(namespace, 'relabelled-token')
      expect(secret?.metadata.ownerReferences).toHaveLength(1)
    }, 2000)
    expect(callsOf(keys)).toBe(1)
  })

  it('a target that is immutable or whose type changes is recreated', async () => {
    const keys = application()
    await harness().createCredential(namespace, 'anew', gateway, keys)
    await harness().expectReady(namespace, 'anew')
    const first = await harness().getSecret(namespace, 'anew-token')
    await harness().patchSecret(namespace, 'anew-token', { immutable: true })
    await eventually(async () => {
      const secret = await harness().getSecret(namespace, 'anew-token')
      expect(secret).toBeDefined()
      expect(secret?.immutable).toBeUndefined()
      expect(secret?.metadata.uid).not.toBe(first?.metadata.uid)
    }, 3000)
    await harness().patchCredential(namespace, 'anew', {
      spec: { targets: [{ name: 'anew-token', type: 'example.com/x' }] },
    })
    await eventually(async () => {
      expect((await harness().getSecret(namespace, 'anew-token'))?.type).toBe('example.com/x')
    }, 3000)
    await harness().expectReady(namespace, 'anew')
    expect(callsOf(keys)).toBe(1)
  })

  it('targets, keys, labels and annotations that leave the spec are pruned', async () => {
    const keys = application()
    await harness().createCredential(namespace, 'fewer', gateway, keys, {
      targets: [
        { name: 'fewer-a', labels: { team: 'wind' }, data: { one: '{{ accessToken }}', two: '{{ expiresAt }}' } },
        { name: 'fewer-b' },
      ],
    })
    await harness().expectReady(namespace, 'fewer')
    await harness().patchCredential(namespace, 'fewer', {
      spec: { targets: [{ name: 'fewer-a', data: { one: '{{ accessToken }}' } }] },
    })
    await eventually(async () => {
      expect(await harness().getSecret(namespace, 'fewer-b')).toBeUndefined()
      expect(Object.keys((await harness().data(namespace, 'fewer-a')) ?? {})).toEqual(['one'])
      expect((await harness().getSecret(namespace, 'fewer-a'))?.metadata.labels?.['team']).toBeUndefined()
    }, 3000)
    expect(callsOf(keys)).toBe(1)
  })

  it('a foreign Secret gives TargetConflict and is not touched', async () => {
    const keys = application()
    await harness().createSecret(namespace, 'taken-token', { precious: 'value' })
    const before = await harness().getSecret(namespace, 'taken-token')
    await harness().createCredential(namespace, 'taken', gateway, keys)
    await harness().expectCondition(namespace, 'taken', 'Ready', 'False/TargetConflict')
    await harness().expectCondition(namespace, 'taken', 'Stalled', 'True/TargetConflict')
    expect(await harness().message(namespace, 'taken', 'Ready')).toContain('taken-token')
    expect(await harness().getSecret(namespace, 'taken-token')).toEqual(before)
    await harness().deleteSecret(namespace, 'taken-token')
    await harness().expectReady(namespace, 'taken', 3000)
  })

  it('a target that two resources claim stays with the present holder', async () => {
    const [first, second] = [application(), application()]
    await harness().createCredential(namespace, 'holder', gateway, first, { targets: [{ name: 'claimed' }] })
    await harness().expectReady(namespace, 'holder')
    await harness().createCredential(namespace, 'newcomer', gateway, second, { targets: [{ name: 'claimed' }] })
    await harness().expectCondition(namespace, 'newcomer', 'Ready', 'False/TargetConflict')
    expect((await harness().data(namespace, 'claimed'))?.['accessToken']).toBe(
      gateway.service.currentToken(first.appKey),
    )
    expect(await harness().condition(namespace, 'holder', 'Ready')).toBe('True/Synced')
    await harness().deleteCredential(namespace, 'holder')
    await harness().expectReady(namespace, 'newcomer', 10_000)
  })

  it('targets are garbage-collected with their resource', async () => {
    await harness().createCredential(namespace, 'gone', gateway, application())
    await harness().expectReady(namespace, 'gone')
    await harness().deleteCredential(namespace, 'gone')
    await eventually(async () => expect(await harness().getSecret(namespace, 'gone-token')).toBeUndefined(), 15_000)
    expect(await harness().getSecret(namespace, 'gone-app')).toBeDefined()
    await eventually(async () => expect(await operator.metrics()).not.toContain(`name="gone"`))
  })

  it('a broken template gives TemplateError before any call to the gateway', async () => {
    const keys = application()
    await harness().createCredential(namespace, 'template', gateway, keys, {
      targets: [{ name: 'template-token', data: { token: '{{ acessToken }}' } }],
    })
    await harness().expectCondition(namespace, 'template', 'Ready', 'False/TemplateError')
    expect(await harness().message(namespace, 'template', 'Ready')).toContain('acessToken')
    expect(callsOf(keys)).toBe(0)
    await harness().patchCredential(namespace, 'template', {
      spec: { targets: [{ name: 'template-token', data: { token: '{{ accessToken }}' } }] },
    })
    await harness().expectReady(namespace, 'template', 2000)
  })
})

describe('gateways', () => {
  it('an unreachable gateway gives GatewayUnreachable and is retried', async () => {
    const other = await harness().gateway()
    const keys = harness().keys()
    other.service.addApplication(keys)
    await other.setOutage(true)
    await harness().createCredential(namespace, 'unreachable', other, keys)
    await harness().expectCondition(namespace, 'unreachable', 'Ready', 'False/GatewayUnreachable')
    await harness().expectCondition(namespace, 'unreachable', 'Reconciling', 'True/GatewayUnreachable')
    await other.setOutage(false)
    await harness().expectReady(namespace, 'unreachable', 15_000)
    await eventually(async () =>
      expect(await harness().eventReasons(namespace, 'unreachable')).toEqual(
        expect.arrayContaining(['GatewayUnreachable', 'Synced']),
      ),
    )
  })

  it('a new gateway URL is called, and the old data stays until the new token is there', async () => {
    const keys = application()
    await harness().createCredential(namespace, 'moved', gateway, keys)
    await harness().expectReady(namespace, 'moved')
    const old = await harness().data(namespace, 'moved-token')
    const other = await harness().gateway({ applications: [keys] })
    await other.setOutage(true)
    await harness().patchCredential(namespace, 'moved', { spec: { gateway: { url: other.url } } })
    await harness().expectCondition(namespace, 'moved', 'Ready', 'False/GatewayUnreachable')
    expect(await harness().data(namespace, 'moved-token')).toEqual(old)
    await other.setOutage(false)
    await eventually(async () => {
      const data = await harness().data(namespace, 'moved-token')
      expect(data?.['accessToken']).toBe(other.service.currentToken(keys.appKey))
    }, 15_000)
    await harness().expectReady(namespace, 'moved')
  })
})
