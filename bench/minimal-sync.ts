import { createHash } from 'node:crypto'
import { Agent } from 'undici'
import type { Api, KubeObject } from './api.ts'
import { credentialsIn, type Fixture, secretsIn } from './fixtures.ts'

/** Concurrency of the floor; equal to the operator's default for calls to one gateway. */
export const floorConcurrency = 32

interface Reply {
  readonly data: { readonly accessToken: string; readonly expire: number }
}

/** The four requests that every sync needs, without cache, watch, checks or retries. */
export class MinimalSync {
  readonly #api: Api
  readonly #gatewayUrl: URL
  readonly #agent = new Agent({ connections: floorConcurrency })

  constructor(api: Api, gatewayUrl: string) {
    this.#api = api
    this.#gatewayUrl = new URL(gatewayUrl)
  }

  /** Reads the source Secret, gets a token, writes target and status. */
  async sync(namespace: string, fixture: Fixture): Promise<void> {
    const { target, token } = await this.writeTarget(namespace, fixture)
    await this.#api.json(`${credentialsIn(namespace)}/${fixture.name}/status`, {
      method: 'PATCH',
      body: statusBody(target, token),
    })
  }

  /** The first three requests: the recreation of a deleted target. */
  async writeTarget(namespace: string, fixture: Fixture): Promise<{ target: KubeObject; token: Reply['data'] }> {
    const source = await this.#api.json<KubeObject>(`${secretsIn(namespace)}/${fixture.sourceName}`)
    const token = await this.#token(textOf(source, 'appKey'), textOf(source, 'appSecret'))
    const target = await this.#api.json<KubeObject>(secretsIn(namespace), {
      method: 'POST',
      body: targetBody(namespace, fixture, token),
    })
    return { target, token }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async #token(appKey: string, appSecret: string): Promise<Reply['data']> {
    const timestamp = Date.now()
    const encryption = createHash('sha256').update(`${appKey}${timestamp}${appSecret}`).digest('hex')
    const response = await this.#agent.request({
      origin: this.#gatewayUrl.origin,
      path: '/apim-token-service/v2.0/token/get',
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ appKey, timestamp, encryption }),
    })
    const { data } = (await response.body.json()) as { data: Reply['data'] | null }
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
function targetBody(namespace: string, fixture: Fixture, { accessToken, expire }: Reply['data']): object {
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
function statusBody({ metadata: { name, resourceVersion, uid } }: KubeObject, { accessToken, expire }: Reply['data']) {
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
