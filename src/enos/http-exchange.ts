import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate, inflateRaw } from 'node:zlib'
import type { Dispatcher } from 'undici'
import { abortWith } from '../lib/aborted.ts'
import type { Clock } from '../lib/clock.ts'
import { timedOut } from './failure.ts'

interface Head {
  readonly status: number
  /** How far the server's clock is ahead, in ms. */
  readonly skewMs: number | undefined
  readonly retryAfterMs: number | undefined
}

export type Answer =
  | ({ readonly kind: 'answer'; readonly body: string } & Head)
  /** The body is too large, or cannot be unpacked. */
  | ({ readonly kind: 'unreadable'; readonly problem: string } & Head)
  /** Bytes came, but they are no HTTP response to this request. */
  | { readonly kind: 'notHttp'; readonly problem: string }
  | { readonly kind: 'noAnswer'; readonly cause: string }

export interface Post {
  readonly url: Pick<URL, 'origin' | 'pathname'>
  readonly headers: Readonly<Record<string, string>>
  /** Makes the body just before it is sent, since it holds the time. */
  readonly makeBody: (signal: AbortSignal) => Promise<string>
  /** Monotonic clock: the end of the whole exchange, body and all. */
  readonly deadlineAt: number
}

/** A reply is some hundred bytes. */
export const maxReplyBytes = 64 * 1024
/** Content-Encoding lists at most so many. */
const maxEncodings = 2

/** Makes a POST. Never throws: every outcome is an `Answer`, which quotes nothing of what was received. */
export async function post(dispatcher: Dispatcher, clock: Clock, request: Post, signal: AbortSignal): Promise<Answer> {
  const { deadlineAt, headers, makeBody, url } = request
  const aborter = new AbortController()
  const timer = clock.setTimer(deadlineAt - clock.now(), () => {
    aborter.abort()
  })
  const unlink = abortWith(aborter, signal)
  try {
    const body = await makeBody(aborter.signal)
    const wallSentAt = clock.wall()
    const response = await dispatcher.request({
      origin: url.origin,
      path: url.pathname,
      method: 'POST',
      headers,
      body,
      signal: aborter.signal,
      // The deadline above covers the whole exchange.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    const head = {
      status: response.statusCode,
      skewMs: skewOf(response.headers.date, wallSentAt, clock.wall()),
      retryAfterMs: retryAfterOf(response.headers['retry-after'], clock.wall()),
    }
    const read = await readBody(response.body, response.headers['content-encoding'])
    return { ...head, ...read }
  } catch (error) {
    if (signal.aborted) return { kind: 'noAnswer', cause: 'stopped' }
    if (aborter.signal.aborted) return { kind: 'noAnswer', cause: timedOut }
    return notHttp(error) ?? { kind: 'noAnswer', cause: causeOf(error) }
  } finally {
    timer.cancel()
    unlink()
  }
}

type Read =
  { readonly kind: 'answer'; readonly body: string } | { readonly kind: 'unreadable'; readonly problem: string }

const tooLarge: Read = { kind: 'unreadable', problem: `the body is larger than ${maxReplyBytes} bytes` }

async function readBody(stream: AsyncIterable<Buffer>, encoding: string | string[] | undefined): Promise<Read> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stream) {
    size += chunk.length
    // Leaving the loop destroys the stream and its connection: nothing more is read.
    if (size > maxReplyBytes) return tooLarge
    chunks.push(chunk)
  }
  return await unpack(Buffer.concat(chunks), encoding)
}

const unpackers: Readonly<Record<string, (packed: Buffer) => Promise<Buffer>>> = {
  gzip: (packed) => promisify(gunzip)(packed, { maxOutputLength: maxReplyBytes }),
  // Servers send both forms under this name; the first byte of a zlib stream has the method, 8, in its lower half.
  deflate: (packed) => {
    const isWrapped = packed.length > 0 && (packed.readUInt8(0) & 0x0f) === 8
    return promisify(isWrapped ? inflate : inflateRaw)(packed, { maxOutputLength: maxReplyBytes })
  },
  br: (packed) => promisify(brotliDecompress)(packed, { maxOutputLength: maxReplyBytes }),
  identity: (packed) => Promise.resolve(packed),
}

/** Unpacks a body that was packed although this was not asked for. The output is bounded too. */
async function unpack(packed: Buffer, encoding: string | string[] | undefined): Promise<Read> {
  const names = [encoding ?? []].flat().flatMap((value) => value.split(','))
  const encodings = names.map((name) => name.trim().toLowerCase().replace(/^x-/, '')).filter((name) => name !== '')
  if (encodings.length > maxEncodings) {
    return { kind: 'unreadable', problem: `the body has more than ${maxEncodings} content encodings` }
  }
  let body = packed
  for (const name of encodings.reverse()) {
    const unpacker = Object.hasOwn(unpackers, name) ? unpackers[name] : undefined
    if (unpacker === undefined) {
      return { kind: 'unreadable', problem: 'the content encoding is not one of gzip, deflate, br' }
    }
    try {
      body = await unpacker(body)
    } catch (error) {
      if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') return tooLarge
      return { kind: 'unreadable', problem: `the body is not valid ${name}` }
    }
  }
  return { kind: 'answer', body: body.toString('utf8') }
}

/** llhttp's reason in undici's message, one of its fixed texts. */
const parserReason = /\(([A-Za-z0-9 ,/-]{1,80})\)$/

/** The answer if an error means that the peer sent bytes which are no response to this request. */
function notHttp(error: unknown): Answer | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    const code = codeOf(current)
    if (current.name === 'HTTPParserError') {
      const [, reason] = parserReason.exec(current.message) ?? []
      return { kind: 'notHttp', problem: `the answer is not valid HTTP${reason === undefined ? '' : ` (${reason})`}` }
    }
    if (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') {
      return {
        kind: 'notHttp',
        problem: 'the answer is not valid HTTP (its body does not have the length in its header)',
      }
    }
    if (code === 'UND_ERR_HEADERS_OVERFLOW') {
      return { kind: 'notHttp', problem: 'the headers of the answer are too large' }
    }
    // A fixed text of undici, which destroys the socket at a 100 before any handler or interceptor hears of it, and sends
    // no Expect that would ask for one. So the response that follows cannot be had without an HTTP parser of our own.
    if (code === 'UND_ERR_SOCKET' && current.message === 'bad response') {
      return { kind: 'notHttp', problem: 'the server answered 100 Continue, which the request does not ask for' }
    }
  }
  return undefined
}

/** The machine-readable code of a network or TLS error. Messages are left out: they may quote what was received. */
function causeOf(error: unknown): string {
  for (let current = error; current instanceof Error; current = current.cause) {
    const code = codeOf(current)
    if (code !== undefined) return code
    if (current instanceof AggregateError && current.errors.length > 0) return causeOf(current.errors[0])
  }
  return 'connection failed'
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** @returns ms that the server's clock is ahead; undefined without a readable Date header */
function skewOf(date: string | string[] | undefined, wallSentAt: number, wallReceivedAt: number): number | undefined {
  const served = typeof date === 'string' ? Date.parse(date) : Number.NaN
  // A Date header is cut to the second, so that it is half a second early on average.
  return Number.isNaN(served) ? undefined : served + 500 - (wallSentAt + wallReceivedAt) / 2
}

/** Retry-After, in seconds or as a date. */
function retryAfterOf(value: string | string[] | undefined, wall: number): number | undefined {
  if (typeof value !== 'string') return undefined
  const delayMs = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - wall
  return Number.isFinite(delayMs) && delayMs > 0 ? delayMs : undefined
}
