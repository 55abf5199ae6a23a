import type { Sensitive } from '../lib/sensitive.ts'

/** The token of an application, as this process holds it. Times in ms. */
export interface HeldToken {
  readonly token: Sensitive
  readonly fingerprint: string
  /** When the token expires, on the monotonic clock. Deadlines are counted from here. */
  readonly expiresAt: number
  /** The same moment on the wall clock, in whole seconds. Fixed on receipt, so that published times never drift. */
  readonly expiresAtWall: number
  /** When this token was first received, on the wall clock, in whole seconds. */
  readonly issuedAtWall: number
  /** The lifetime of a new token of this application. */
  readonly lifetimeMs: number
}
