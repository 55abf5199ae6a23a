import { setTimeout as delay } from 'node:timers/promises'
import { Agent } from 'undici'
import { readLines } from '../src/kubernetes/lines.ts'

export interface Condition {
  readonly type: string
  readonly status: string
}

/** The fields of an object that the benchmark uses. */
export interface KubeObject {
  readonly metadata: {
    readonly namespace?: string
    readonly name: string
    readonly uid: string
    readonly resourceVersion: string
    readonly ownerReferences?: readonly object[]
  }
  readonly data?: Readonly<Record<string, string>>
  readonly status?: { readonly conditions?: readonly Condition[] }
}

export interface WatchEvent {
  readonly type: string
  readonly object: KubeObject
}

/** Address of the API server and authentication. Child processes get it as JSON. */
export interface Endpoint {
  readonly origin: string
  readonly headers: Readonly<Record<string, string>>
  /** PEM. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string }
}

interface Request {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  readonly body?: object
  readonly accept?: string
}

/** Accept header for a list without the data of its objects. */
export const metadataOnly = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1'

export const coreV1 = '/api/v1'
export const enosV1alpha1 = '/apis/enos.io/v1alpha1'

/** A minimal client of the API server: undici over one HTTP/2 connection. */
export class Api {
  readonly #origin: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #agent: Agent

  constructor({ headers, origin, tls }: Endpoint) {
    this.#origin = origin
    this.#headers = headers
    this.#agent = new Agent({
      connect: tls,
      allowH2: true,
      connections: 1,
      bodyTimeout: 0,
      h2Options: { maxConcurrentStreams: 100 },
    })
  }

  /** @throws HttpError for a status of 300 or more; its message holds the status and nothing of the bodies */
  async json<T>(path: string, { accept = 'application/json', body, method = 'GET' }: Request = {}): Promise<T> {
    const response = await this.#agent.request({
      origin: this.#origin,
      path,
      method,
      headers: {
        ...this.#headers,
        accept,
        ...(body === undefined
          ? {}
          : { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.body.text()
    if (response.statusCode >= 300) throw new HttpError(`${method} ${path}`, response.statusCode)
    return JSON.parse(text) as T
  }

  async list(path: string, accept = 'application/json'): Promise<{ items: KubeObject[]; resourceVersion: string }> {
    type List = { items: KubeObject[]; metadata: { resourceVersion: string } }
    const { items, metadata } = await this.json<List>(path, { accept })
    return { items, resourceVersion: metadata.resourceVersion }
  }

  /** Resolves when `signal` aborts. The API server ends the watch of a slow reader: it goes on after the last event. */
  async watch(
    path: string,
    resourceVersion: string,
    signal: AbortSignal,
    onEvent: (event: WatchEvent) => void,
  ): Promise<void> {
    let from = resourceVersion
    try {
      while (!signal.aborted) {
        const response = await this.#agent.request({
          origin: this.#origin,
          path: `${path}?watch=true&resourceVersion=${from}`,
          method: 'GET',
          headers: this.#headers,
          signal,
        })
        if (response.statusCode !== 200) throw new HttpError(`WATCH ${path}`, response.statusCode)
        for await (const line of readLines(response.body)) {
          const event = JSON.parse(line) as WatchEvent
          onEvent(event)
          from = event.object.metadata.resourceVersion
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}

export class HttpError extends Error {
  override readonly name = 'HttpError'
  readonly statusCode: number

  constructor(call: string, statusCode: number) {
    super(`${call}: HTTP ${statusCode}`)
    this.statusCode = statusCode
  }
}

/** Runs `work` for all items, at most `limit` at a time. */
export async function forEachConcurrently<T>(
  limit: number,
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const rest = items.values()
  await Promise.all(
    Array.from({ length: limit }, async () => {
      for (const item of rest) await work(item)
    }),
  )
}

/** Starts the work of so many items a second, evenly spread, and resolves when all are done. */
export async function forEachPaced<T>(
  perSecond: number,
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const startedAt = performance.now()
  const works: Promise<unknown>[] = []
  for (const [index, item] of items.entries()) {
    const aheadMs = startedAt + (index / perSecond) * 1000 - performance.now()
    if (aheadMs > 0) await delay(aheadMs)
    works.push(work(item))
  }
  await Promise.all(works)
}
