import { createHash, randomBytes } from 'node:crypto'
import { Agent } from 'undici'
import type { Api, KubeObject } from './api.ts'
import { appSecretOf, credentialsIn, eventsIn, type Fixture, secretsIn } from './fixtures.ts'

/** Syncs in flight of the floor; equal to the operator's default of --max-concurrent-reconciles. */
export const floorConcurrency = 64

export interface Token {
  readonly accessToken: string
  readonly expire: number
}

/** The five requests that every sync needs, without cache, watch, checks or retries. */
export class MinimalSync {
  readonly #api: Api
  readonly #gatewayUrl: URL
  readonly #agent = new Agent({ connections: floorConcurrency })

  constructor(api: Api, gatewayUrl: string) {
    this.#api = api
    this.#gatewayUrl = new URL(gatewayUrl)
  }

  /** Reads the source Secret, gets a token, writes target, status and event. */
  async sync(namespace: string, fixture: Fixture): Promise<void> {
    const { target, token } = await this.writeTarget(namespace, fixture)
    await this.#api.json(`${credentialsIn(namespace)}/${fixture.name}/status`, {
      method: 'PATCH',
      body: statusBody(target, token),
    })
    await this.#api.json(eventsIn(namespace), { method: 'POST', body: eventBody(namespace, fixture) })
  }

  /** A renewal without anything else: get, refresh, target, status. */
  async renew(namespace: string, fixture: Fixture): Promise<void> {
    const { appKey } = fixture
    const appSecret = appSecretOf(appKey)
    const { accessToken } = await this.#token('get', appKey, appSecret)
    const token = await this.#token('refresh', appKey, appSecret, accessToken)
    const target = await this.patchTarget(namespace, fixture, token)
    await this.#api.json(`${credentialsIn(namespace)}/${fixture.name}/status`, {
      method: 'PATCH',
      body: statusBody(target, token),
    })
  }

  /** The first three requests. */
  async writeTarget(namespace: string, fixture: Fixture): Promise<{ target: KubeObject; token: Token }> {
    const source = await this.#api.json<KubeObject>(`${secretsIn(namespace)}/${fixture.sourceName}`)
    const token = await this.#token('get', textOf(source, 'appKey'), textOf(source, 'appSecret'))
    return { target: await this.createTarget(namespace, fixture, token), token }
  }

  /** The recreation of a deleted target whose token is in memory. */
  async createTarget(namespace: string, fixture: Fixture, token: Token): Promise<KubeObject> {
    return await this.#api.json(secretsIn(namespace), { method: 'POST', body: targetBody(namespace, fixture, token) })
  }

  async patchTarget(namespace: string, fixture: Fixture, token: Token): Promise<KubeObject> {
    const { data, metadata } = targetBody(namespace, fixture, token)
    const body = { metadata: { annotations: metadata.annotations }, data }
    return await this.#api.json(`${secretsIn(namespace)}/${fixture.targetName}`, { method: 'PATCH', body })
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async #token(operation: 'get' | 'refresh', appKey: string, appSecret: string, accessToken?: string): Promise<Token> {
    // Never that of the get before it: the two would have the same `encryption`.
    const timestamp = Date.now() + (operation === 'refresh' ? 1 : 0)
    const encryption = createHash('sha256').update(`${appKey}${timestamp}${appSecret}`).digest('hex')
    const response = await this.#agent.request({
      origin: this.#gatewayUrl.origin,
      path: `/apim-token-service/v2.0/token/${operation}`,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ appKey, timestamp, encryption, accessToken }),
    })
    const { data } = (await response.body.json()) as { data: Token | null }
    if (data === null) throw new Error('the gateway answered without a token')
    return data
  }
}

function textOf({ data }: KubeObject, key: string): string {
  return Buffer.from(data?.[key] ?? '', 'base64').toString()
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')

function timeAfter(ms: number): string {
  return `${new Date(Date.now() + ms).toISOString().slice(0, -5)}Z`
}

/** Of the same size as the operator's own. */
function targetBody(namespace: string, fixture: Fixture, { accessToken, expire }: Token) {
  const expiresAt = timeAfter(expire * 1000)
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      namespace,
      name: fixture.targetName,
      labels: { 'app.kubernetes.io/managed-by': 'bench', 'enos.io/credential': fixture.name },
      annotations: { 'enos.io/expires-at': expiresAt, 'enos.io/issued-at': timeAfter(0) },
      ownerReferences: [
        {
          apiVersion: 'enos.io/v1alpha1',
          kind: 'EnosAppCredential',
          name: fixture.name,
          uid: fixture.uid,
          controller: true,
          blockOwnerDeletion: false,
        },
      ],
    },
    type: 'Opaque',
    data: { accessToken: base64(accessToken), expiresAt: base64(expiresAt) },
  }
}

/** Of the same size as the operator's own. */
function statusBody({ metadata: { name, resourceVersion, uid } }: KubeObject, { accessToken, expire }: Token) {
  const condition = (type: string, reason: string, message: string): object => {
    return { type, status: 'True', reason, message, observedGeneration: 1, lastTransitionTime: timeAfter(0) }
  }
  return {
    status: {
      observedGeneration: 1,
      conditions: [
        condition('Ready', 'Synced', 'the target holds a valid token'),
        condition('RenewalHealthy', 'Synced', 'the last attempt worked'),
      ],
      expiresAt: timeAfter(expire * 1000),
      issuedAt: timeAfter(0),
      nextRenewalAt: timeAfter(expire * 800),
      lastRenewalAt: timeAfter(0),
      lastRenewalMethod: 'get',
      consecutiveFailures: 0,
      tokenFingerprint: createHash('sha256').update(accessToken).digest('hex').slice(0, 12),
      sources: [{ name, uid, resourceVersion }],
      targets: [
        {
          name,
          uid,
          resourceVersion,
          creationPolicy: 'Owner',
          deletionPolicy: 'Delete',
          keys: ['accessToken', 'expiresAt'],
        },
      ],
    },
  }
}

/** Of the same size as the operator's own. */
function eventBody(namespace: string, { name, uid }: Fixture): object {
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { namespace, name: `${name}.${randomBytes(8).toString('hex')}` },
    eventTime: new Date().toISOString().replace('Z', '000Z'),
    reportingController: 'bench',
    reportingInstance: 'bench',
    action: 'Reconcile',
    reason: 'Synced',
    type: 'Normal',
    regarding: { apiVersion: 'enos.io/v1alpha1', kind: 'EnosAppCredential', namespace, name, uid },
    note: 'the target holds a valid token',
  }
}
