import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import { Socket } from 'node:net'
import { pipeline, Readable } from 'node:stream'

/** A whole answer, before a fault alters its delivery. */
export interface Answer {
  readonly httpStatus: number
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body: string | Buffer
  /** Spaces after the body, in a delivery as a whole. */
  readonly paddingBytes?: number
}

export function jsonAnswer(httpStatus: number, json: unknown): Answer {
  return { httpStatus, headers: { 'content-type': 'application/json;charset=UTF-8' }, body: JSON.stringify(json) }
}

/**
 * @returns undefined for a body of more than `maxBytes`
 * @throws when the connection breaks
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    // The rest is read and dropped: a client that is still sending would not read the answer.
    if (size <= maxBytes) chunks.push(chunk)
  }
  return size > maxBytes ? undefined : Buffer.concat(chunks)
}

/** @returns undefined for what is not JSON */
export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown
  } catch {
    // The parser's message would quote the text, which may hold a secret.
    return undefined
  }
}

/**
 * How an answer is sent: whole, half of it without an end, half of it and a closed connection, after a `100 Continue`, in
 * HTTP/1.0, or byte by byte.
 */
export type Delivery = 'whole' | 'hangBody' | 'truncate' | 'continue' | 'http10' | { readonly dripEveryMs: number }

export function deliver(response: ServerResponse, answer: Answer, wallMs: number, delivery: Delivery): void {
  const body = Buffer.from(answer.body)
  const { paddingBytes = 0 } = answer
  const date = new Date(wallMs).toUTCString()
  if (delivery === 'http10') {
    deliverHttp10(response, { date, ...answer.headers }, answer.httpStatus, body)
    return
  }
  if (delivery === 'continue') response.writeContinue()
  response.sendDate = false
  response.writeHead(answer.httpStatus, { date, 'content-length': body.length + paddingBytes, ...answer.headers })
  if (delivery === 'whole' || delivery === 'continue') {
    if (paddingBytes === 0) response.end(body)
    else sendPadded(response, body, paddingBytes)
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

/** Sends spaces in pieces: 100 MB at once would hold up all other calls. */
function sendPadded(response: ServerResponse, body: Buffer, paddingBytes: number): void {
  function* pieces(): Generator<Buffer> {
    yield body
    const spaces = Buffer.alloc(64 * 1024, ' ')
    for (let left = paddingBytes; left > 0; left -= spaces.length) yield spaces.subarray(0, left)
  }
  pipeline(Readable.from(pieces()), response, () => {
    // The client may go in the middle.
  })
}

/** Writes to the socket: Node's own responses are always HTTP/1.1. */
function deliverHttp10(
  response: ServerResponse,
  headers: Readonly<Record<string, string>>,
  httpStatus: number,
  body: Buffer,
): void {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const head = `HTTP/1.0 ${httpStatus} ${STATUS_CODES[httpStatus] ?? ''}\r\n${lines.join('')}\r\n`
  response.socket?.end(Buffer.concat([Buffer.from(head), body]))
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

/** Resets the TCP connection. A TLS connection is only closed: Node cannot reset those. */
export function reset(request: IncomingMessage): void {
  const { socket } = request
  if (Object.getPrototypeOf(socket) === Socket.prototype) socket.resetAndDestroy()
  else socket.destroy()
}
