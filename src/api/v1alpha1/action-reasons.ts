/**
 * Why the operator acts: what was observed, not what is done. The log, `enos_credential_target_writes_total` and
 * `status.targets[].lastWrite` carry these; docs/reference/action-reasons.md is generated from here.
 */

/** Reasons for writing a target Secret. */
export const writeReasons = {
  Missing: 'The Secret, or a key of the target in it, does not exist.',
  NewToken: 'The application has a token that the target does not hold.',
  SpecChanged: 'The spec has changed since the target was last written.',
  SourceChanged:
    'A source, or the reference to one, has changed since it was last read, or since a target that uses its value was written.',
  Drift: 'Another writer has changed the Secret since the target was last written.',
  TypeChanged: 'The Secret has another type than the spec; a patch cannot change it.',
  Immutable: 'The Secret is immutable; a patch cannot change it.',
  OwnershipChanged:
    'creationPolicy or deletionPolicy in the spec differs from the one that the target was written with.',
  Adopted:
    'The Secret belongs to the resource, or was handed to it by labels or annotation, but the status does not record it.',
  RemovedFromSpec: 'The spec no longer has the target.',
  Deleted: 'The resource is being deleted.',
} as const satisfies Record<string, string>

export type WriteReason = keyof typeof writeReasons

/** Reasons for actions that do not write a target. */
export const otherActionReasons = {
  InSync: 'The Secret is as the spec has it, and the record of the last write is not complete.',
  NotRecorded: 'The status does not record the target, so the Secret has to be read.',
  SourcesNotInMemory: 'This process has not read the sources since it started.',
  TokenNotInMemory: 'A target holds the token, and this process has not read it since it started.',
  MembershipChanged: 'The resource is not a member of its application, or a setting of its membership has changed.',
  NotRetained: 'A target with deletionPolicy Retain still has its owner reference: the write that removes it failed.',
  MergedKeys: 'Keys of the resource are, or will be, in a Secret of another owner.',
  NoMergedKeys:
    'No key of the resource is left in a Secret of another owner, and retained Secrets have no owner reference.',
  StatusChanged: 'The status differs from what is observed.',
  QuietPeriod: 'The status differs from what is observed, and the write can wait.',
  ConfigMapsNotSynced: 'The ConfigMaps of the namespace are not known yet.',
  UpToDate: 'Nothing has changed since the status was written.',
} as const satisfies Record<string, string>

export type ActionReason = WriteReason | keyof typeof otherActionReasons
