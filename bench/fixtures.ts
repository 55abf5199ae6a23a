import { randomBytes } from 'node:crypto'
import { type Api, coreV1, enosV1alpha1, forEachConcurrently, HttpError, type KubeObject } from './api.ts'

/** A resource and its Secrets. */
export interface Fixture {
  readonly name: string
  readonly sourceName: string
  readonly targetName: string
  readonly appKey: string
  /** Of the resource. */
  readonly uid: string
}

export interface FixtureSet {
  readonly namespace: string
  readonly fixtures: readonly Fixture[]
}

export interface FixtureOptions {
  readonly gatewayUrl: string
  readonly count: number
  /** Whether all resources share one application. Default: one for each. */
  readonly isShared?: boolean
}

const maxConcurrentCreates = 32

export const secretsIn = (namespace: string): string => `${coreV1}/namespaces/${namespace}/secrets`
export const credentialsIn = (namespace: string): string => `${enosV1alpha1}/namespaces/${namespace}/enosappcredentials`

export const eventsIn = (namespace: string): string => `/apis/events.k8s.io/v1/namespaces/${namespace}/events`

/** The appSecret that the simulator derives from an unknown appKey. */
export const appSecretOf = (appKey: string): string => `secret-of-${appKey}`

/** The namespaces of a run and their resources. */
export class Fixtures {
  readonly #api: Api

  constructor(api: Api) {
    this.#api = api
  }

  /** Creates a namespace with `count` resources, each with its source Secret. */
  async create({ count, gatewayUrl, isShared = false }: FixtureOptions): Promise<FixtureSet> {
    const id = randomBytes(4).toString('hex')
    const namespace = `bench-${id}`
    await this.#api.json(`${coreV1}/namespaces`, { method: 'POST', body: { metadata: { name: namespace } } })
    const fixtures: Fixture[] = []
    await forEachConcurrently(maxConcurrentCreates, [...Array(count).keys()], async (at) => {
      const appKey = isShared ? id : `${id}-${at}`
      fixtures.push(await createCredential(this.#api, namespace, { name: `credential-${at}`, appKey }, gatewayUrl))
    })
    return { namespace, fixtures }
  }

  /** Creates a namespace with `count` Secrets that no resource refers to. */
  async createForeignSecrets(count: number): Promise<void> {
    const { namespace } = await this.create({ gatewayUrl: '', count: 0 })
    await forEachConcurrently(maxConcurrentCreates, [...Array(count).keys()], (at) =>
      this.#api.json(secretsIn(namespace), {
        method: 'POST',
        body: { metadata: { name: `foreign-${at}`, labels: { app: 'other' } }, stringData: { key: 'x'.repeat(100) } },
      }),
    )
  }

  /** Deletes resources, Secrets and events; the namespace stays, with the cluster, which ends with the measure. */
  async clear({ namespace }: FixtureSet): Promise<void> {
    for (const path of collections(namespace)) await this.#deleteAll(path)
  }

  /** The API server ends a request after 60 s, and has deleted a part by then. */
  async #deleteAll(path: string): Promise<void> {
    for (;;) {
      try {
        await this.#api.json(path, { method: 'DELETE' })
        return
      } catch (error) {
        if (!isTimeout(error)) throw error
      }
    }
  }
}

/** The API server answers 504, or resets the stream where it has begun to answer. */
function isTimeout(error: unknown): boolean {
  if (error instanceof HttpError) return error.statusCode === 504
  return error instanceof Error && 'code' in error && error.code === 'ERR_HTTP2_STREAM_ERROR'
}

/** Creates a resource and its source Secret. */
export async function createCredential(
  api: Api,
  namespace: string,
  { appKey, name }: Pick<Fixture, 'appKey' | 'name'>,
  gatewayUrl: string,
): Promise<Fixture> {
  const names = { name, sourceName: `${name}-app`, targetName: `${name}-token`, appKey }
  await api.json(secretsIn(namespace), {
    method: 'POST',
    body: { metadata: { name: names.sourceName }, stringData: { appKey, appSecret: appSecretOf(appKey) } },
  })
  const { metadata } = await api.json<KubeObject>(credentialsIn(namespace), {
    method: 'POST',
    body: credentialBody(names, gatewayUrl),
  })
  return { ...names, uid: metadata.uid }
}

function collections(namespace: string): string[] {
  return [credentialsIn(namespace), secretsIn(namespace), eventsIn(namespace)]
}

function credentialBody({ name, sourceName, targetName }: Omit<Fixture, 'uid'>, gatewayUrl: string): object {
  return {
    apiVersion: 'enos.io/v1alpha1',
    kind: 'EnosAppCredential',
    metadata: { name },
    spec: {
      gateway: { url: gatewayUrl, allowInsecureHTTP: true },
      appKeyRef: { name: sourceName },
      appSecretRef: { name: sourceName },
      targets: [{ name: targetName }],
    },
  }
}
