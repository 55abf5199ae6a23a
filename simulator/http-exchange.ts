import type { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'

/** A whole answer, before anything spoils it. */
export interface Answer {
  readonly httpStatus: number
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body: string
}

export function jsonAnswer(httpStatus: number, json: unknown): Answer {
  return { httpStatus, headers: { 'content-type': 'application/json;charset=UTF-8' }, body: JSON.stringify(json) }
}

/**
 * @returns the body, or undefined when it is larger than `limitBytes`
 * @throws when the connection breaks
 */
export async function readBody(request: IncomingMessage, limitBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    // The rest is read and dropped, so that the answer reaches a client that is still sending.
    if (size <= limitBytes) chunks.push(chunk)
  }
  return size > limitBytes ? undefined : Buffer.concat(chunks).toString('utf8')
}

/** @returns undefined for what is not JSON */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    // The parser's message quotes the text, which may hold a secret; that it is not JSON is all there is to say.
    return undefined
  }
}

/** How an answer is delivered: whole, or half of it and then nothing more, or half and then the end, or byte by byte. */
export type Delivery = 'whole' | 'hangBody' | 'truncate' | { readonly dripEveryMs: number }

export function deliver(response: ServerResponse, answer: Answer, wallMs: number, delivery: Delivery): void {
  const body = Buffer.from(answer.body)
  response.sendDate = false
  response.writeHead(answer.httpStatus, {
    date: new Date(wallMs).toUTCString(),
    'content-length': body.length,
    ...answer.headers,
  })
  if (delivery === 'whole') {
    response.end(body)
    return
  }
  if (typeof delivery === 'object') {
    drip(response, body, delivery.dripEveryMs)
    return
  }
  response.write(body.subarray(0, Math.floor(body.length / 2)), () => {
    if (delivery === 'truncate') response.socket?.destroy()
  })
}

function drip(response: ServerResponse, body: Buffer, everyMs: number): void {
  let at = 0
  const timer = setInterval(() => {
    response.write(body.subarray(at, ++at))
    if (at < body.length) return
    clearInterval(timer)
    response.end()
  }, everyMs)
  response.once('close', () => clearInterval(timer))
}

/** Ends the connection with a TCP reset; one with TLS is only closed, since Node resets none of those. */
export function reset(request: IncomingMessage): void {
  const { socket } = request
  if (Object.getPrototypeOf(socket) === Socket.prototype) socket.resetAndDestroy()
  else socket.destroy()
}
