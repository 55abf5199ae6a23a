/** Names of the API. They are part of the outside contract. */
export const group = 'enos.io'
export const version = 'v1alpha1'
export const apiVersion = `${group}/${version}`
export const kind = 'EnosAppCredential'
export const plural = 'enosappcredentials'

export const managedBy = 'enos-credential-operator'

export const labels = {
  managedBy: 'app.kubernetes.io/managed-by',
  /** Name of the credential that owns the target. */
  credential: 'enos.io/credential',
} as const

export const annotations = {
  /** Any new value requests a renewal. */
  renewRequestedAt: 'enos.io/renew-requested-at',
  /** On a Secret of another origin: name of the credential that may adopt it. */
  adopt: 'enos.io/adopt',
  expiresAt: 'enos.io/expires-at',
  issuedAt: 'enos.io/issued-at',
  /** On pods that mount a target: the change makes the kubelet sync the pod at once (propagation Immediate). */
  tokenFingerprint: 'enos.io/token-fingerprint',
  /** Name and uid of the credential that wrote a retained Secret (deletionPolicy Retain). */
  retainedCredential: 'enos.io/credential',
  retainedCredentialUid: 'enos.io/credential-uid',
} as const

/** On restarted workloads and their pod templates: fingerprint of the credential's token (restartOnRenewal). */
export const restartedForAnnotation = (credentialUid: string): string => `enos.io/restarted-for-${credentialUid}`

/** Holds a deleted credential until its keys are removed from Secrets that it does not own (creationPolicy Merge). */
export const mergeFinalizer = 'enos.io/merge-cleanup'

/**
 * Field manager of a credential's keys in Secrets that it does not own. With one shared name, two credentials would
 * delete each other's keys.
 */
export const mergeFieldManager = (credentialUid: string): string => `enos-credential:${credentialUid}`
