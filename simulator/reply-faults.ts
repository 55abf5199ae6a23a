import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import type { Fault } from './faults.ts'
import { type Answer, jsonAnswer } from './http-exchange.ts'
import type { ServiceReply } from './token-service.ts'

const compressors = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync }
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf])

/** The answer to a call, altered by its fault. */
export function answerOf(reply: ServiceReply, fault: Fault | undefined): Answer {
  const answer = jsonAnswer(reply.httpStatus, alterJson(reply.json, fault))
  switch (fault?.kind) {
    case 'large':
      return { ...answer, paddingBytes: Math.max(0, fault.bytes - answer.body.length) }
    case 'byteOrderMark':
      return { ...answer, body: Buffer.concat([byteOrderMark, Buffer.from(answer.body)]) }
    case 'compress': {
      const headers = { ...answer.headers, 'content-encoding': fault.encoding }
      const body = compressors[fault.encoding](answer.body.toString().padEnd(fault.bytes ?? 0))
      return { ...answer, headers, body }
    }
    default:
      return answer
  }
}

/** The JSON of an answer has at most `data` with `accessToken` and `expire`. */
function alterJson(json: unknown, fault: Fault | undefined): unknown {
  const { data, status } = json as {
    readonly status?: number
    readonly data?: Readonly<Record<string, unknown>> | null
  }
  if (fault?.kind === 'expire' && data) return { ...(json as object), data: { ...data, expire: fault.value } }
  if (fault?.kind === 'strings' && status !== undefined) {
    const changed = data ? { ...data, expire: String(data.expire) } : null
    return { ...(json as object), status: String(status), data: changed }
  }
  return json
}
