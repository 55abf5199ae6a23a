import type { Reason } from '../api/v1alpha1/reasons.ts'

/**
 * The reaction of a client to a status code of the token service.
 *
 * - `success`
 * - `newTimestamp`: the same request again, at once, with another timestamp
 * - `getAgain`: the token to refresh is no longer valid; call get
 * - `retry`: call again later; the fault heals by itself
 * - `userMustAct`: every call fails until the user changes something
 */
export type Reaction = 'success' | 'newTimestamp' | 'getAgain' | 'retry' | 'userMustAct'

export interface Meaning {
  readonly reaction: Reaction
  readonly reason: Reason
  /** For the user. The gateway's own `msg` is an outsider's text and is never repeated. */
  readonly description: string
}

/**
 * The one table of status codes (the HTTP status is normally 200; the outcome is `status` in the body).
 * @see https://support.enos-iot.com/docs/apim/en/2.4.4/token/get_access_token
 */
const meanings: ReadonlyMap<number, Meaning> = new Map<number, Meaning>([
  [0, { reaction: 'success', reason: 'Synced', description: 'success' }],
  [
    1001,
    {
      reaction: 'newTimestamp',
      reason: 'GatewayRejected',
      description:
        'the gateway takes each request for a repeated one; check that no other client sends the same timestamps for this appKey',
    },
  ],
  [1002, { reaction: 'userMustAct', reason: 'AppKeyNotFound', description: 'the gateway does not know the appKey' }],
  [
    1003,
    {
      reaction: 'userMustAct',
      reason: 'InvalidAppSecret',
      description: 'the gateway refuses the signature: the appSecret does not belong to the appKey',
    },
  ],
  [
    1004,
    {
      reaction: 'userMustAct',
      reason: 'GatewayRejected',
      description:
        'the gateway refuses a parameter as invalid; check that appKey and appSecret are complete, and that the clocks of node and gateway agree',
    },
  ],
  [1005, { reaction: 'retry', reason: 'GatewayError', description: 'the token service had an internal error' }],
  [
    1202,
    {
      reaction: 'userMustAct',
      reason: 'GatewayRejected',
      description: 'the gateway refuses a parameter as empty; check that appKey and appSecret are complete',
    },
  ],
  [1203, { reaction: 'getAgain', reason: 'GatewayError', description: 'the token to refresh has expired' }],
  [1204, { reaction: 'getAgain', reason: 'GatewayError', description: 'the gateway failed to refresh the token' }],
])

/** Whether a number is a status code of the token service, and not the HTTP status that some servers repeat in a body. */
export function isDocumented(status: number): boolean {
  return meanings.has(status)
}

/** What `status` means; an undocumented code is retried. */
export function meaningOf(status: number): Meaning {
  return (
    meanings.get(status) ?? {
      reaction: 'retry',
      reason: 'UnexpectedReply',
      description: 'the status code is not documented',
    }
  )
}
