import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import type { FoundToken, Membership } from '../tokens/membership.ts'
import type { Sensitive } from '../lib/sensitive.ts'
import type { Problem } from '../api/v1alpha1/problem.ts'
import type { ObjectVersion, PropagationRequest, TargetRecord } from '../observe/observed.ts'
import type { EventInput } from '../status/events.ts'
import type { Correction } from '../targets/compare-secret.ts'
import type { DesiredSecret } from '../targets/desired-secret.ts'

/** What a written target is to be recorded as, but for the version that the write brings. */
export type TargetStamp = Omit<TargetRecord, keyof ObjectVersion>

/** Something to do to one target. */
export type TargetAction =
  /** GET a target with its data. */
  | { readonly do: 'fetchTarget'; readonly name: string }
  | { readonly do: 'createTarget'; readonly desired: DesiredSecret; readonly stamp: TargetStamp }
  | {
      readonly do: 'patchTarget'
      readonly desired: DesiredSecret
      readonly correction: Correction
      readonly was: ObjectVersion
      readonly stamp: TargetStamp
    }
  /** Delete and create: for what no patch can change. */
  | {
      readonly do: 'recreateTarget'
      readonly desired: DesiredSecret
      readonly was: ObjectVersion
      readonly stamp: TargetStamp
    }
  /** Set our keys in somebody else's Secret. */
  | {
      readonly do: 'applyKeys'
      readonly was: ObjectVersion
      readonly data: Readonly<Record<string, Sensitive>>
      readonly isForced: boolean
      readonly stamp: TargetStamp
    }
  /** Take keys of ours out of somebody else's Secret. */
  | { readonly do: 'releaseKeys'; readonly was: ObjectVersion; readonly keys: readonly string[] }
  /** Give a Secret of ours away: from now on only its keys are ours. */
  | {
      readonly do: 'disownTarget'
      readonly was: ObjectVersion
      readonly keptKeys: readonly string[]
      readonly stamp: TargetStamp
    }
  /** A target was read and is as it should be. */
  | { readonly do: 'confirmTarget'; readonly was: ObjectVersion; readonly stamp: TargetStamp }
  | { readonly do: 'deleteTarget'; readonly was: ObjectVersion }
  /** The target cannot be written as the spec has it. */
  | { readonly do: 'failTarget'; readonly name: string; readonly problem: Problem }
  /** A target that is in the record is gone, or not ours any more. */
  | { readonly do: 'forgetTarget'; readonly name: string }

/**
 * One thing to do. Secrets in it are Sensitive, so that an action can be logged and compared as it is.
 */
export type Action =
  | TargetAction
  /** GET the source Secrets, and what caRef names. */
  | { readonly do: 'fetchSources' }
  | { readonly do: 'join'; readonly membership: Membership; readonly found: FoundToken | undefined }
  | { readonly do: 'leave' }
  /** Have running consumers see the token that the targets hold now. */
  | ({ readonly do: 'propagate' } & Omit<PropagationRequest, 'credential'>)
  /** Tell people of what no condition will say. */
  | { readonly do: 'emitEvent'; readonly event: EventInput }
  | { readonly do: 'setFinalizers'; readonly finalizers: readonly string[] }
  | { readonly do: 'patchStatus'; readonly status: CredentialStatus }

export interface Plan {
  /** In order; targets of one plan are written side by side. Empty: all is as it should be. */
  readonly actions: readonly Action[]
  /** When to look again, on the monotonic clock. Undefined: only when something changes. */
  readonly requeueAt: number | undefined
}
