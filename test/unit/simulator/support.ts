import { createHash } from 'node:crypto'
import type { ServiceReply } from '../../../simulator/token-service.ts'

/** A signed body. The signature is computed here, so that the simulator's own is not checked against itself. */
export function signed(
  appKey: string,
  appSecret: string,
  timestamp: number | string,
  accessToken?: string,
): { appKey: string; timestamp: number | string; encryption: string; accessToken?: string } {
  const encryption = createHash('sha256').update(`${appKey}${timestamp}${appSecret}`, 'utf8').digest('hex')
  return { appKey, timestamp, encryption, ...(accessToken === undefined ? {} : { accessToken }) }
}

export interface Envelope {
  readonly status: number
  readonly msg: string
  readonly business: string
  readonly data: { readonly accessToken: string; readonly expire: unknown } | null
}

export function envelope(reply: ServiceReply): Envelope {
  return reply.json as Envelope
}

/** Calls a token service over HTTP, each time with a new timestamp. */
export class TestClient {
  readonly #keys: { readonly appKey: string; readonly appSecret: string }
  readonly #url: () => string
  readonly #timeoutMs: number
  #lastTimestamp = 0

  constructor(url: () => string, keys: { readonly appKey: string; readonly appSecret: string }, timeoutMs = 5000) {
    this.#url = url
    this.#keys = keys
    this.#timeoutMs = timeoutMs
  }

  post(
    operation: 'get' | 'refresh',
    accessToken?: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    this.#lastTimestamp = Math.max(Date.now(), this.#lastTimestamp + 1)
    return fetch(`${this.#url()}/apim-token-service/v2.0/token/${operation}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(signed(this.#keys.appKey, this.#keys.appSecret, this.#lastTimestamp, accessToken)),
      signal: AbortSignal.timeout(this.#timeoutMs),
    })
  }

  async get(): Promise<Envelope> {
    return (await (await this.post('get')).json()) as Envelope
  }

  async refresh(accessToken: string): Promise<Envelope> {
    return (await (await this.post('refresh', accessToken)).json()) as Envelope
  }
}

export function tokenOf(reply: Envelope): string {
  if (reply.data === null) throw new Error(`expected a token, seen status ${reply.status}`)
  return reply.data.accessToken
}
