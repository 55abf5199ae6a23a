import type { ActionReason, WriteReason } from '../api/v1alpha1/action-reasons.ts'
import type { Problem } from '../api/v1alpha1/problem.ts'
import type { Reason } from '../api/v1alpha1/reasons.ts'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import type { Sensitive } from '../lib/sensitive.ts'
import type { Interference } from '../observe/contest.ts'
import type { ObjectVersion, PropagationRequest, TargetRecord } from '../observe/observed.ts'
import type { EventInput } from '../status/events.ts'
import type { Correction } from '../targets/compare-secret.ts'
import type { DesiredSecret } from '../targets/desired-secret.ts'
import type { MetadataChange } from '../targets/secret-bodies.ts'
import type { FoundToken, Membership } from '../tokens/membership.ts'

/** What was observed: a reason for an action, or the reason of the condition that stopped the plan. */
export type PlanReason = ActionReason | Reason

/** The record of a target after its write, except for the version that the write brings. */
export type TargetStamp = Omit<TargetRecord, keyof ObjectVersion | 'lastWrite'>

/** A write of one target Secret. */
export type TargetWrite = {
  readonly reason: WriteReason
  /** The change of another writer that this write undoes. */
  readonly undoes?: Interference
  /** Note of the event for a Secret, or for keys of one, that the write adopts. */
  readonly adopts?: string
} & (
  | { readonly do: 'createTarget'; readonly desired: DesiredSecret; readonly stamp: TargetStamp }
  | {
      readonly do: 'patchTarget'
      readonly desired: DesiredSecret
      readonly correction: Correction
      readonly was: ObjectVersion
      readonly stamp: TargetStamp
    }
  /** Delete and create, for a change that no patch can make. */
  | {
      readonly do: 'recreateTarget'
      readonly desired: DesiredSecret
      readonly was: ObjectVersion
      readonly stamp: TargetStamp
    }
  /** Set the keys of the spec in a Secret of another owner. */
  | {
      readonly do: 'applyKeys'
      readonly was: ObjectVersion
      readonly data: Readonly<Record<string, Sensitive>>
      readonly isForced: boolean
      readonly stamp: TargetStamp
    }
  /** Remove our keys from a Secret of another owner. */
  | { readonly do: 'releaseKeys'; readonly was: ObjectVersion; readonly keys: readonly string[] }
  /** Give up ownership of a Secret, and keep only its keys as ours. */
  | {
      readonly do: 'disownTarget'
      readonly was: ObjectVersion
      readonly keptKeys: readonly string[]
      readonly stamp: TargetStamp
    }
  /** Change owner references and annotations alone; the record keeps its token and its inputs. */
  | {
      readonly do: 'patchMetadata'
      readonly was: ObjectVersion
      readonly change: MetadataChange
      readonly stamp: TargetStamp
    }
  | { readonly do: 'deleteTarget'; readonly was: ObjectVersion }
)

/** An action on one target. */
export type TargetAction =
  | TargetWrite
  | ({ readonly reason: PlanReason } & (
      | /** GET a target with its data. */
        { readonly do: 'fetchTarget'; readonly name: string }
        /** Record a target that was read and is in sync. */
      | { readonly do: 'confirmTarget'; readonly was: ObjectVersion; readonly stamp: TargetStamp }
      /** Note that the target cannot be written as the spec has it. */
      | { readonly do: 'failTarget'; readonly name: string; readonly problem: Problem }
      /** Drop the record of a target that is gone, or no longer ours. */
      | { readonly do: 'forgetTarget'; readonly name: string }
    ))

/** An action that needs no valid spec. */
export type ResourceAction = { readonly reason: PlanReason } & (
  | { readonly do: 'leave' }
  | { readonly do: 'setFinalizers'; readonly finalizers: readonly string[] }
  /** The events are emitted once the status is written. */
  | { readonly do: 'patchStatus'; readonly status: CredentialStatus; readonly events: readonly EventInput[] }
  /** Emit an event for something that no condition reports. */
  | { readonly do: 'emitEvent'; readonly event: EventInput }
)

/** One action. Secrets in it are Sensitive, so that it can be logged and compared as it is. */
export type Action =
  | ResourceAction
  | TargetAction
  | ({ readonly reason: PlanReason } & (
      | /** GET the source Secrets, and the object of caRef. */
        { readonly do: 'fetchSources' }
      | { readonly do: 'join'; readonly membership: Membership; readonly found: FoundToken | undefined }
      /** Have running pods see the token that the targets hold now. */
      | ({ readonly do: 'propagate' } & Omit<PropagationRequest, 'credential'>)
    ))

export interface Plan<A = Action> {
  /** The check that decided; undefined when none had anything to say. */
  readonly check: string | undefined
  readonly reason: PlanReason
  /** Executed side by side. Empty: everything is as it should be. */
  readonly actions: readonly A[]
  /** When to reconcile again, monotonic clock, ms. Undefined: only when something changes. */
  readonly requeueAt: number | undefined
}

/** The target that an action is about; undefined for other actions. */
export function targetOf(action: Action): string | undefined {
  if ('was' in action) return action.was.name
  if ('desired' in action) return action.desired.name
  return 'name' in action ? action.name : undefined
}

/** Whether nothing is left to do but to write the status. */
export function isStatusOnly({ actions }: Plan): boolean {
  return actions.every((action) => action.do === 'patchStatus')
}
