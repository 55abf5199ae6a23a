import type { Dispatcher } from 'undici'
import { abortWith } from '../lib/aborted.ts'
import type { Clock } from '../lib/clock.ts'
import { isPermissionRefusal, parseAdmissionDenial } from './admission-denial.ts'
import { ApiError } from './errors.ts'
import { readLines } from './lines.ts'
import { abortReason, networkReason, type Transport, type TransportRequest } from './transport.ts'
import type {
  CallOptions,
  KubernetesClient,
  KubernetesObject,
  ListOptions,
  ObjectList,
  ObjectRef,
  Patch,
  ResourceType,
  WatchEvent,
  WatchOptions,
} from './types.ts'

export interface HttpClientOptions {
  readonly transport: Transport
  readonly clock: Clock
  /** The name under which this client's writes are recorded in managedFields. */
  readonly fieldManager: string
  /** A watch without event or bookmark for this long is dead. API servers send a bookmark each minute. Default: 150,000. */
  readonly silenceLimitMs?: number
}

const defaultTimeoutMs = 30_000
const maxErrorBytes = 1024 * 1024
const metadataOnlyAccept = {
  list: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
  watch: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
}

interface Call {
  readonly verb: string
  readonly type: ResourceType
  readonly namespace: string | undefined
  readonly name?: string
  readonly subresource?: string
}

/** The API server over HTTP. Never retries: the caller decides. */
export class HttpKubernetesClient implements KubernetesClient {
  readonly #options: HttpClientOptions

  constructor(options: HttpClientOptions) {
    this.#options = options
  }

  async get<T extends KubernetesObject>(type: ResourceType, ref: ObjectRef, options: CallOptions = {}): Promise<T> {
    return await this.#json<T>({ verb: 'get', type, ...ref }, { method: 'GET' }, options)
  }

  async list<T extends KubernetesObject>(
    type: ResourceType,
    namespace: string | undefined,
    options: ListOptions = {},
  ): Promise<ObjectList<T>> {
    const { limit, continue: next, resourceVersion, labelSelector, fieldSelector, metadataOnly } = options
    const query = { limit, continue: next, resourceVersion, labelSelector, fieldSelector }
    const headers = metadataOnly === true ? { accept: metadataOnlyAccept.list } : {}
    const call = { verb: 'list', type, namespace }
    const list = await this.#json<Partial<ObjectList<T>>>(call, { method: 'GET', query, headers }, options)
    // An empty list of metadata has `"items": null`.
    return { metadata: list.metadata ?? {}, items: list.items ?? [] }
  }

  async create<T extends KubernetesObject>(
    type: ResourceType,
    namespace: string,
    body: object,
    options: CallOptions = {},
  ): Promise<T> {
    const query = { fieldManager: this.#options.fieldManager }
    return await this.#json<T>({ verb: 'create', type, namespace }, { method: 'POST', query, body }, options)
  }

  async update<T extends KubernetesObject>(
    type: ResourceType,
    ref: ObjectRef,
    body: object,
    options: CallOptions = {},
  ): Promise<T> {
    const query = { fieldManager: this.#options.fieldManager }
    return await this.#json<T>({ verb: 'update', type, ...ref }, { method: 'PUT', query, body }, options)
  }

  async patch<T extends KubernetesObject>(
    type: ResourceType,
    ref: ObjectRef,
    patch: Patch,
    options: CallOptions & { readonly subresource?: 'status' } = {},
  ): Promise<T> {
    const { subresource } = options
    const [contentType, query] =
      patch.type === 'merge'
        ? ['application/merge-patch+json', { fieldManager: this.#options.fieldManager }]
        : ['application/apply-patch+yaml', { fieldManager: patch.fieldManager, force: patch.force }]
    const call = { verb: 'patch', type, ...ref, ...(subresource === undefined ? {} : { subresource }) }
    const headers = { 'content-type': contentType }
    return await this.#json<T>(call, { method: 'PATCH', query, headers, body: patch.body }, options)
  }

  async delete(
    type: ResourceType,
    ref: ObjectRef,
    options: CallOptions & {
      readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string }
    } = {},
  ): Promise<void> {
    const { preconditions } = options
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', ...(preconditions === undefined ? {} : { preconditions }) }
    await this.#json({ verb: 'delete', type, ...ref }, { method: 'DELETE', body }, options)
  }

  async *watch<T extends KubernetesObject>(
    type: ResourceType,
    namespace: string | undefined,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>> {
    const { clock, silenceLimitMs = 150_000, transport } = this.#options
    const { fieldSelector, labelSelector, metadataOnly, resourceVersion, timeoutSeconds } = options
    const call: Call = { verb: 'watch', type, namespace }
    const path = pathOf(call, {
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion,
      timeoutSeconds,
      labelSelector,
      fieldSelector,
    })
    const silence = new AbortController()
    const onSilence = (): void => {
      silence.abort(new DOMException('silent', 'TimeoutError'))
    }
    let timer = clock.setTimer(silenceLimitMs, onSilence)
    const unlink = abortWith(silence, options.signal)
    const { signal } = silence
    try {
      const headers = metadataOnly === true ? { accept: metadataOnlyAccept.watch } : {}
      const response = await transport.request({
        call: nameOf(call),
        method: 'GET',
        path,
        headers,
        isWatch: true,
        signal,
      })
      if (response.statusCode !== 200) throw await errorOf(call, response, clock)
      for await (const line of readLines(response.body)) {
        timer.cancel()
        timer = clock.setTimer(silenceLimitMs, onSilence)
        const event = parse(call, line) as WatchEvent<T>
        if (event.type === 'ERROR') throw statusError(call, event.object as Status)
        yield event
      }
    } catch (error) {
      if (error instanceof ApiError) throw error
      throw new ApiError(nameOf(call), { code: 0, reason: signal.aborted ? abortReason(signal) : networkReason(error) })
    } finally {
      timer.cancel()
      unlink()
    }
  }

  async #json<T>(
    call: Call,
    request: Pick<TransportRequest, 'method' | 'headers'> & { readonly query?: Query; readonly body?: object },
    { signal, timeoutMs = defaultTimeoutMs }: CallOptions,
  ): Promise<T> {
    const { clock, transport } = this.#options
    const deadline = new AbortController()
    const timer = clock.setTimer(timeoutMs, () => {
      deadline.abort(new DOMException('deadline', 'TimeoutError'))
    })
    const unlink = signal === undefined ? undefined : abortWith(deadline, signal)
    try {
      const response = await transport.request({
        call: nameOf(call),
        method: request.method,
        path: pathOf(call, request.query ?? {}),
        headers:
          request.body === undefined
            ? { ...request.headers }
            : { 'content-type': 'application/json', ...request.headers },
        ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
        signal: deadline.signal,
      })
      if (response.statusCode >= 300) throw await errorOf(call, response, clock)
      return parse(call, await response.body.text()) as T
    } catch (error) {
      if (error instanceof ApiError) throw error
      const reason = deadline.signal.aborted ? abortReason(deadline.signal) : networkReason(error)
      throw new ApiError(nameOf(call), { code: 0, reason })
    } finally {
      timer.cancel()
      unlink?.()
    }
  }
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>

function nameOf({ verb, type, namespace, name, subresource }: Call): string {
  const object = [namespace, name].filter((part) => part !== undefined).join('/')
  return [verb, type.plural + (subresource === undefined ? '' : `/${subresource}`), object].filter(Boolean).join(' ')
}

function pathOf({ type, namespace, name, subresource }: Call, query: Query): string {
  const segments = [
    ...(type.group === '' ? ['api'] : ['apis', type.group]),
    type.version,
    ...(namespace === undefined ? [] : ['namespaces', namespace]),
    type.plural,
    ...(name === undefined ? [] : [name]),
    ...(subresource === undefined ? [] : [subresource]),
  ]
  const parameters = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) if (value !== undefined) parameters.set(key, String(value))
  const search = parameters.toString()
  return `/${segments.map(encodeURIComponent).join('/')}${search === '' ? '' : `?${search}`}`
}

/** The parts of metav1.Status that are safe to carry: its messages may quote an object's data. */
interface Status {
  readonly code?: number
  readonly reason?: string
  /** Parsed, never carried. */
  readonly message?: string
  readonly details?: {
    readonly retryAfterSeconds?: number
    readonly causes?: readonly { readonly field?: string; readonly reason?: string }[]
  }
}

function statusError(call: Call, status: Status, code = status.code ?? 500, retryAfterMs?: number): ApiError {
  const { causes, retryAfterSeconds } = status.details ?? {}
  const message = typeof status.message === 'string' ? status.message : ''
  const admissionDenial = parseAdmissionDenial(message)
  return new ApiError(nameOf(call), {
    code,
    reason: reasonOf(status),
    retryAfterMs: retryAfterMs ?? (retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1000),
    // A webhook fills these with any text.
    fields:
      admissionDenial === undefined
        ? (causes ?? []).flatMap(({ field }) => (field === undefined || field === '' ? [] : [field]))
        : [],
    admissionDenial,
    isPermissionMissing: code === 403 && isPermissionRefusal(message),
    isVersionTooLarge: (causes ?? []).some(({ reason }) => reason === 'ResourceVersionTooLarge'),
  })
}

/** A webhook may put any text there; the reasons of the API server are words in CamelCase. */
function reasonOf({ reason }: Status): string {
  return typeof reason === 'string' && /^[A-Z][A-Za-z]{0,63}$/.test(reason) ? reason : 'Unknown'
}

async function errorOf(call: Call, response: Dispatcher.ResponseData, clock: Clock): Promise<ApiError> {
  let text = ''
  for await (const chunk of response.body) {
    text += String(chunk)
    if (text.length > maxErrorBytes) break
  }
  let status: Status = {}
  try {
    status = (JSON.parse(text) as Status | null) ?? {}
  } catch {
    // Such as the page of a proxy: then only the HTTP status is known.
  }
  return statusError(call, status, response.statusCode, retryAfterOf(response.headers['retry-after'], clock))
}

/** Parses Retry-After, seconds or a date, to ms. */
function retryAfterOf(value: string | string[] | undefined, clock: Clock): number | undefined {
  if (typeof value !== 'string') return undefined
  const delayMs = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - clock.wall()
  return Number.isFinite(delayMs) ? Math.max(0, delayMs) : undefined
}

function parse(call: Call, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's own message would quote the text.
    throw new ApiError(nameOf(call), { code: 0, reason: 'NotJson' })
  }
}
