import type { Sensitive } from '../lib/sensitive.ts'

/** Everything of a call that belongs to the caller, and not to the application. */
export interface Caller {
  readonly appSecret: Sensitive
  /** CA certificates (PEM) to trust besides the system's. */
  readonly ca: string | undefined
  /** The name to find in the gateway's certificate; undefined: the host of its URL. */
  readonly tlsServerName: string | undefined
  /** Additional request headers by name, for a server before the gateway. */
  readonly headers: ReadonlyMap<string, Sensitive>
}

/** Whether two callers make the same calls. Names of headers are compared without case, in any order. */
export function isSameCaller(a: Caller, b: Caller): boolean {
  if (!a.appSecret.equals(b.appSecret) || a.ca !== b.ca || a.tlsServerName !== b.tlsServerName) return false
  const headers = new Map([...b.headers].map(([name, value]) => [name.toLowerCase(), value]))
  if (a.headers.size !== headers.size) return false
  return [...a.headers].every(([name, value]) => headers.get(name.toLowerCase())?.equals(value) === true)
}
