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
} as const
