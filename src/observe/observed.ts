import type { ConditionStatus } from '../api/v1alpha1/conditions.ts'
import type { Problem } from '../api/v1alpha1/problem.ts'
import type { Reason } from '../api/v1alpha1/reasons.ts'
import type { CredentialSpec } from '../api/v1alpha1/schema.ts'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import type { KubernetesObject, ObjectKey } from '../kubernetes/types.ts'
import type { Sensitive } from '../lib/sensitive.ts'
import type { Alteration } from '../targets/alteration.ts'
import type { Secret } from '../targets/secret.ts'
import type { CompiledTemplates } from '../targets/template.ts'
import type { ApplicationView } from '../tokens/application-view.ts'
import type { Membership, RecordedToken } from '../tokens/membership.ts'
import type { Contest } from './contest.ts'
import type { OwnWrites } from './own-writes.ts'

export interface ObjectVersion {
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
}

/** Names of credentials that may adopt a Secret. */
export interface HandedTo {
  /** By the labels of this operator, on a Secret without controller: it was a target of that credential. */
  readonly byLabels: string | undefined
  /** By the annotation enos.io/adopt. */
  readonly byAnnotation: string | undefined
}

/** Another credential that has a Secret as a target. */
export interface OtherOwner {
  readonly name: string
  /** Whether its status records the Secret, and not only its spec. */
  readonly isRecorded: boolean
}

/** A Secret or ConfigMap as the watch has it: no data. */
export interface ObjectMetadata extends ObjectVersion {
  readonly namespace: string
  /** uid of the owner that is the controller. */
  readonly controllerUid: string | undefined
  /** Whether that owner is an EnosAppCredential. */
  readonly isControlledByCredential: boolean
  /** The credential that wrote a retained Secret (deletionPolicy Retain). */
  readonly retainedFor: { readonly name: string; readonly uid: string } | undefined
  /** The credentials that may adopt it; only where it names one, so that other Secrets take no memory for it. */
  readonly handedTo?: HandedTo
  readonly isDeleting: boolean
  /** When this operator last wrote it, by the API server's clock, in whole seconds; undefined when it never did. */
  readonly writtenAtWall: number | undefined
}

/** A valid EnosAppCredential, with the metadata that the operator uses. */
export interface Credential {
  readonly key: ObjectKey
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
  readonly generation: number
  readonly isDeleting: boolean
  /** Value of the annotation enos.io/renew-requested-at. */
  readonly renewRequest: string | undefined
  readonly finalizers: readonly string[]
  readonly spec: CredentialSpec
  readonly status: CredentialStatus
}

/** An EnosAppCredential whose spec cannot be parsed, though the API server stored it: the CRD has another version. */
export interface InvalidCredential extends Omit<Credential, 'spec'> {
  readonly spec: undefined
  readonly problems: readonly string[]
}

export interface SourceValues {
  readonly appKey: Sensitive
  readonly appSecret: Sensitive
  /** PEM, of caRef. */
  readonly ca: string | undefined
  /** Values of headersFrom, by the names in the spec. */
  readonly headers: ReadonlyMap<string, Sensitive>
}

/** One version of a source. */
export interface SourceVersion extends ObjectVersion {
  /** The keys that are used, in the order of the fields that name them. */
  readonly keys: readonly string[]
}

/** The source Secrets, and the object that caRef names, as they were read: these versions, with these values. */
export type Sources = SourceReading & SourceOutcome

type SourceOutcome =
  | { readonly values: SourceValues; readonly problem: undefined }
  /** One of them cannot be used. */
  | { readonly values: undefined; readonly problem: Problem }

interface SourceReading {
  readonly versions: readonly SourceVersion[]
  /** `appSecretRef wind/appSecret`: fields of which trailing newlines were trimmed. */
  readonly trimmed: readonly string[]
}

/** Why and when a target was last written. Wall clock, ms. */
export interface LastWrite {
  readonly reason: string
  readonly atWall: number
}

/** A target as it was last written, or confirmed to be in sync. */
export interface TargetRecord extends ObjectVersion {
  readonly creationPolicy: TargetSpec['creationPolicy']
  readonly deletionPolicy: TargetSpec['deletionPolicy']
  readonly keys: readonly string[]
  /** Undefined where the status does not record it; the target is then read. */
  readonly token: TargetToken | undefined
  /** The other inputs of the content, as `inputsKey` makes them: the same inputs and token give the same content. */
  readonly inputs: string
  /** Undefined where the status has none. */
  readonly lastWrite: LastWrite | undefined
}

/** A token on a target. */
export interface TargetToken extends RecordedToken {
  /** When it expires, on the monotonic clock. */
  readonly expiresAt: number
  /** It expired by a jump of the clock, which get may yet show to be a correction; until then it counts as valid. */
  readonly unconfirmedUntil?: number
  /** Normalised URL of the gateway that issued it. */
  readonly gatewayUrl: string
  /** Fingerprint of its appKey; undefined where the status has none. */
  readonly appKeyFingerprint: string | undefined
}

/** Why consumers are looked at: a new token; the first one of a resource; or the same one, under a changed spec. */
export type PropagationOccasion = 'renewal' | 'firstToken' | 'specChange'

/** A token that is to be propagated to the running consumers of a credential's targets. */
export interface PropagationRequest {
  readonly credential: Credential
  readonly fingerprint: string
  readonly occasion: PropagationOccasion
  /** When the token was written to the targets, by the API server's clock, ms. */
  readonly writtenAtWall: number
}

/** The propagation of a token to running consumers of the targets (propagation Immediate, restartOnRenewal). */
export interface Propagation {
  /** Of the token that was, or is being, propagated. */
  readonly fingerprint: string
  /** The generation of the credential that it was done for. */
  readonly generation: number
  /** The outcome makes no condition where there is none: no new token, nothing done, nothing amiss. */
  readonly isSilent?: boolean
  /** Undefined while it is under way. */
  readonly outcome: { readonly status: ConditionStatus; readonly reason: Reason; readonly message: string } | undefined
}

/** The records of a credential's targets, by name; from the status after a restart. */
export type CredentialRecord = ReadonlyMap<string, TargetRecord>

/** What is known of a resource whose spec cannot be parsed. */
export interface InvalidObserved {
  readonly credential: InvalidCredential
  /** Whether it is still a member of an application. */
  readonly isMember: boolean
  readonly nowWall: number
}

/** Everything that a plan depends on. */
export interface Observed extends Readonly<OwnWrites> {
  readonly credential: Credential
  /** Normalised spec.gateway.url. */
  readonly gatewayUrl: string
  /** Compiled templates by target. */
  readonly templates: ReadonlyMap<string, CompiledTemplates>
  /** Why a template cannot be used; then `templates` is empty. */
  readonly templateProblem: Problem | undefined
  /** Whether the configuration allows this gateway. */
  readonly isGatewayAllowed: boolean
  readonly sourceRefs: readonly SourceRef[]
  /** The sources as the watch has them, in the order of `sourceRefs`; undefined for one that does not exist. */
  readonly sourceMetas: readonly (ObjectMetadata | undefined)[]
  /** The sources as they were read last. */
  readonly sources: Sources | undefined
  /** Why they could not be read in this pass. */
  readonly sourceProblem: Problem | undefined
  /** Since when the ConfigMaps with a source are awaited, monotonic clock; undefined when they are synced or not needed. */
  readonly configMapsAwaitedSince: number | undefined
  /** The Secrets with the names of present and removed targets. */
  readonly targetMetas: ReadonlyMap<string, ObjectMetadata | undefined>
  /** Targets that were read in this pass. */
  readonly targetContents: ReadonlyMap<string, Secret>
  /** Present and removed targets whose write failed in this pass. */
  readonly targetProblems: ReadonlyMap<string, Problem>
  readonly record: CredentialRecord
  readonly membership: Membership | undefined
  readonly application: ApplicationView | undefined
  /** Whether a credential with this uid exists in a watched namespace. */
  readonly isAlive: (uid: string) => boolean
  /** Name of the credential with this uid; undefined when none exists in a watched namespace. */
  readonly nameOf: (uid: string) => string | undefined
  /** Another credential of the namespace that has this Secret as a target. */
  readonly otherOwnerOf: (secretName: string) => OtherOwner | undefined
  /** Secrets that were adopted in this pass: the note of the event, by target. */
  readonly adoptions: ReadonlyMap<string, string>
  /** The propagation of this process; undefined when it made none. */
  readonly propagation: Propagation | undefined
  /** Whether the credential has to join its application for a refresh that is about to happen. */
  readonly isSummoned: boolean
  /** When this process first observed the resource, monotonic clock. */
  readonly firstSeenAt: number
  /** Notes of the events that were emitted for this resource, by reason; bounded by the number of reasons. */
  readonly notes: ReadonlyMap<string, string>
  /** Corrections of targets that another writer changes again, by target. */
  readonly contests: ReadonlyMap<string, Contest>
  /** How admission altered the last write, by target. */
  readonly alterations: ReadonlyMap<string, Alteration>
  readonly fieldManager: string
  /** Wall clock less monotonic clock, ms. */
  readonly wallOffset: number
}

/** The version of an object that was read. */
export function objectVersionOf({
  metadata: { name = '', uid = '', resourceVersion = '' },
}: KubernetesObject): ObjectVersion {
  return { name, uid, resourceVersion }
}

/** The targets of a spec, and their records. */
export interface TargetsView {
  readonly credential: { readonly spec: Pick<CredentialSpec, 'targets'> }
  readonly record: CredentialRecord
}

export type TargetSpec = CredentialSpec['targets'][number]

/** An object that the spec reads from, the fields that name it, and the keys that those name. */
export interface SourceRef {
  readonly kind: 'Secret' | 'ConfigMap'
  readonly name: string
  readonly fields: readonly string[]
  readonly keys: readonly string[]
}

/** The field of a header's source. */
export function headerField(at: number): string {
  return `spec.gateway.headersFrom[${at}].secretKeyRef`
}

/** The objects that a spec reads from, each once. */
export function sourceRefs({
  appKeyRef,
  appSecretRef,
  gateway: { caRef, headersFrom = [] },
}: CredentialSpec): SourceRef[] {
  const refs: SourceRef[] = []
  const add = (kind: SourceRef['kind'], { key, name }: { name: string; key: string }, field: string): void => {
    const at = refs.findIndex((ref) => ref.kind === kind && ref.name === name)
    const known = refs[at]
    if (known === undefined) refs.push({ kind, name, fields: [field], keys: [key] })
    // A list literal with a spread would make room for 16 more, and the keys are kept.
    else refs[at] = { kind, name, fields: known.fields.concat(field), keys: known.keys.concat(key) }
  }
  add('Secret', appKeyRef, 'spec.appKeyRef')
  add('Secret', appSecretRef, 'spec.appSecretRef')
  if (caRef !== undefined) add(caRef.kind, caRef, 'spec.gateway.caRef')
  for (const [at, { secretKeyRef }] of headersFrom.entries()) add('Secret', secretKeyRef, headerField(at))
  return refs
}

/**
 * The token that the targets hold; the one that expires first when they hold several. A target without a token, because
 * of a conflict for instance, does not hide the others' token; Ready reports it.
 */
export function tokenOnTargets({ credential, record }: TargetsView): TargetToken | undefined {
  let earliest: TargetToken | undefined
  for (const { name } of credential.spec.targets) {
    const token = record.get(name)?.token
    if (token === undefined) continue
    if (earliest === undefined || token.expiresAt < earliest.expiresAt) earliest = token
  }
  return earliest
}

/** `status.nextRenewalAt` on the monotonic clock. */
export function monotonicNextRenewalAt({ credential, wallOffset }: Observed): number | undefined {
  const { nextRenewalAt } = credential.status
  return nextRenewalAt === undefined ? undefined : Date.parse(nextRenewalAt) - wallOffset
}
