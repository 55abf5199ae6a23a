import { annotations } from '../api/v1alpha1/names.ts'
import type { Problem } from '../api/v1alpha1/problem.ts'
import { isReservedType } from '../api/v1alpha1/target-schema.ts'
import type { Secret } from '../targets/secret.ts'
import type { ObjectMetadata, Observed, TargetSpec } from './observed.ts'
import { isOurs } from './ownership.ts'

/** How a Secret without controller was handed to a credential. */
type Claim = 'labels' | 'annotation'

/** Why an Owner target cannot be written: its Secret is not ours, and cannot be adopted. */
export function ownerProblem(observed: Observed, target: TargetSpec): Problem | undefined {
  const { credential, otherOwnerOf, record, targetMetas } = observed
  const { name } = target
  const meta = targetMetas.get(name)
  if (meta === undefined) return undefined
  const recorded = record.get(name)
  const isRecorded = recorded?.uid === meta.uid && recorded.creationPolicy === 'Owner'
  if (isRecorded && meta.controllerUid === undefined) return undefined
  if (!isOurs(observed, meta)) return foreignProblem(observed, target, meta)
  const isFormer = meta.controllerUid === undefined && meta.retainedFor?.uid !== credential.uid
  const other = isFormer ? otherOwnerOf(name) : undefined
  return other?.isRecorded === true ? isOfOther(name, other.name) : undefined
}

/** Another credential has it. */
export function isOfOther(secretName: string, credentialName: string | undefined): Problem {
  const owner = ownerPhrase(credentialName)
  return conflict(
    `Secret ${secretName} belongs to ${owner}: name another target`,
    `belong to ${owner}: name other targets`,
  )
}

/** @param credentialName undefined: not known */
export function ownerPhrase(credentialName: string | undefined): string {
  return credentialName === undefined ? 'another EnosAppCredential' : `EnosAppCredential ${credentialName}`
}

/** That the annotation of a Secret names another resource, most likely by a slip; undefined without the annotation. */
export function otherClaim({ credential }: Observed, named: string | undefined): string | undefined {
  if (named === undefined || named === credential.name) return undefined
  // Its writer chose the text: it is quoted only where it can be a name.
  const quoted = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/.test(named) ? named : 'no resource that can exist'
  return `${annotations.adopt} names ${quoted}, not ${credential.name}`
}

export function conflict(message: string, ofMany?: string): Problem {
  const problem = { class: 'userMustAct', reason: 'TargetConflict', message: `spec.targets: ${message}` } as const
  return ofMany === undefined ? problem : { ...problem, ofMany }
}

/** Whether the annotation lets the credential take a Secret, or its keys of a Merge target. */
export function isHandedByAnnotation({ credential }: Observed, meta: ObjectMetadata | undefined): boolean {
  return meta?.handedTo?.byAnnotation === credential.name
}

/** A Secret that another writer made, or that lost its owner reference. */
function foreignProblem(observed: Observed, target: TargetSpec, meta: ObjectMetadata): Problem | undefined {
  const { credential, isAlive, nameOf, otherOwnerOf } = observed
  const { name } = target
  if (meta.controllerUid !== undefined) {
    return meta.isControlledByCredential
      ? isOfOther(name, nameOf(meta.controllerUid))
      : conflict(
          `Secret ${name} already exists and is not owned by this resource (another object controls it); delete it, or name another target`,
        )
  }
  if (meta.retainedFor !== undefined && isAlive(meta.retainedFor.uid)) {
    return isOfOther(name, nameOf(meta.retainedFor.uid))
  }
  const claim = claimOn(observed, meta)
  const other = otherOwnerOf(name)
  if (other !== undefined && (claim !== undefined || other.isRecorded)) return isOfOther(name, other.name)
  const otherClaimed = otherClaim(observed, meta.handedTo?.byAnnotation)
  if (claim === undefined && otherClaimed !== undefined) {
    return conflict(
      `Secret ${name} already exists and is not owned by this resource: its annotation ${otherClaimed}; correct the annotation to have the Secret adopted; otherwise delete it, or name another target`,
    )
  }
  // Its type is known only once it was read, which needs a token first.
  const content = observed.targetContents.get(name)
  if (claim === undefined) return unclaimedProblem(target, credential.name, content)
  return content === undefined ? undefined : contentProblem(target, claim, content)
}

/** The annotation is advised only where it suffices: with the condition where the content is not known. */
function unclaimedProblem(target: TargetSpec, claimant: string, content: Secret | undefined): Problem {
  const problem = content === undefined ? undefined : contentProblem(target, 'annotation', content)
  if (problem !== undefined) return problem
  const { name, type = 'Opaque' } = target
  const condition = (of: string): string => (content === undefined ? ` (possible if ${of} not immutable)` : '')
  const annotation = `${annotations.adopt}: ${claimant}`
  return conflict(
    `Secret ${name} already exists and is not owned by this resource; to have it adopted${condition(`its type is ${type} and it is`)}, annotate it with ${annotation}; otherwise delete it, or name another target`,
    `already exist and are not owned by this resource; to have them adopted${condition(`their type is ${type} and they are`)}, annotate them with ${annotation}; otherwise delete them, or name other targets`,
  )
}

function claimOn({ credential }: Observed, { handedTo }: ObjectMetadata): Claim | undefined {
  if (handedTo?.byLabels === credential.name) return 'labels'
  return handedTo?.byAnnotation === credential.name ? 'annotation' : undefined
}

/** By the annotation alone nothing is deleted: who may annotate a Secret need not have the right to delete it. */
function contentProblem({ name, type }: TargetSpec, claim: Claim, content: Secret): Problem | undefined {
  const present = content.type ?? 'Opaque'
  const wanted = type ?? 'Opaque'
  if (isReservedType(present)) {
    return conflict(`Secret ${name} has the type ${present}, which is never adopted; delete it, or name another target`)
  }
  if (claim === 'labels') return undefined
  if (present !== wanted) {
    return conflict(
      `Secret ${name} has the type ${present}, and ${annotations.adopt} alone does not let the operator delete it for the type ${wanted}; set the type of the target to ${present}, delete the Secret, or name another target`,
    )
  }
  if (content.immutable !== true) return undefined
  return conflict(
    `Secret ${name} is immutable, and ${annotations.adopt} alone does not let the operator delete it; delete it, or name another target`,
  )
}
