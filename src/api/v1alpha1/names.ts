/** The names that this API is known by; others rely on them. */
export const group = 'enos.io'
export const version = 'v1alpha1'
export const apiVersion = `${group}/${version}`
export const kind = 'EnosAppCredential'
export const plural = 'enosappcredentials'

export const managedBy = 'enos-credential-operator'

export const labels = {
  managedBy: 'app.kubernetes.io/managed-by',
  /** Name of the credential that a target belongs to. */
  credential: 'enos.io/credential',
} as const

export const annotations = {
  /** Any new value renews now. */
  renewRequestedAt: 'enos.io/renew-requested-at',
  expiresAt: 'enos.io/expires-at',
  issuedAt: 'enos.io/issued-at',
  /** On pods that mount a target: tells their kubelet that there is something new (propagation Immediate). */
  tokenFingerprint: 'enos.io/token-fingerprint',
  /** Name and uid of the credential that wrote a Secret which is to outlive it (deletionPolicy Retain). */
  retainedCredential: 'enos.io/credential',
  retainedCredentialUid: 'enos.io/credential-uid',
} as const

/** On the pods of a workload that was restarted for a token of this credential: its fingerprint (restartOnRenewal). */
export const restartedForAnnotation = (credentialUid: string): string => `enos.io/restarted-for-${credentialUid}`

/** Keeps a credential until its keys are taken out of the Secrets that are somebody else's (creationPolicy Merge). */
export const mergeFinalizer = 'enos.io/merge-cleanup'

/** The field manager of a credential's keys in Secrets that are somebody else's; with one shared name, two would delete each other's. */
export const mergeFieldManager = (credentialUid: string): string => `enos-credential:${credentialUid}`
