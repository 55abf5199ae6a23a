import type { Reason } from '../api/v1alpha1/reasons.ts'

/**
 * What a status code of the token service asks of a client.
 *
 * - `success`
 * - `newTimestamp`: the same request again, at once, with a timestamp of its own
 * - `getAgain`: the token that was to be refreshed is no good any more; ask get what is
 * - `retry`: heals by itself; later
 * - `userMustAct`: wrong until somebody changes something
 */
export type Reaction = 'success' | 'newTimestamp' | 'getAgain' | 'retry' | 'userMustAct'

export interface Meaning {
  readonly reaction: Reaction
  readonly reason: Reason
  /** Said to the user; the gateway's own `msg` is an outsider's text and is never repeated. */
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
        'the request was taken for a repeated one, again and again: does something else send the same timestamps for this appKey?',
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
        'the gateway calls a parameter invalid: are appKey and appSecret whole, and the clocks of node and gateway alike?',
    },
  ],
  [1005, { reaction: 'retry', reason: 'GatewayError', description: 'the token service had an internal error' }],
  [
    1202,
    {
      reaction: 'userMustAct',
      reason: 'GatewayRejected',
      description: 'the gateway calls a parameter empty: are appKey and appSecret whole?',
    },
  ],
  [1203, { reaction: 'getAgain', reason: 'GatewayError', description: 'the token to be refreshed has expired' }],
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
      description: 'the gateway answered with a status code that is not documented',
    }
  )
}
