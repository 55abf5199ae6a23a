import type { CredentialSpec } from '../api/v1alpha1/schema.ts'
import type { Problem } from './observed.ts'

/** What the API accepts and this version does not do yet: said, rather than ignored. */
export function unsupported(spec: CredentialSpec): Problem | undefined {
  const found = [
    ...(spec.gateway.caRef === undefined ? [] : ['spec.gateway.caRef']),
    ...(spec.verifyEvery === undefined ? [] : ['spec.verifyEvery']),
    ...(spec.propagation === 'Immediate' ? ['spec.propagation: Immediate'] : []),
    ...(spec.restartOnRenewal === undefined || spec.restartOnRenewal.length === 0 ? [] : ['spec.restartOnRenewal']),
    ...(spec.targets.some((target) => target.creationPolicy === 'Merge') ? ['spec.targets: creationPolicy Merge'] : []),
    ...(spec.targets.some((target) => target.deletionPolicy === 'Retain')
      ? ['spec.targets: deletionPolicy Retain']
      : []),
  ]
  if (found.length === 0) return undefined
  return {
    class: 'userMustAct',
    reason: 'NotSupported',
    message: `${found.join(', ')}: not supported by this version of the operator; take it out of the spec`,
  }
}
