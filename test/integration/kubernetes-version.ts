import { inject } from 'vitest'

/** The minor version of Kubernetes 1 in which the API server first has what some tests need. */
const since = {
  'MutatingAdmissionPolicy v1': 36,
  'values in errors of CEL rules': 35,
} as const

/** Whether the API server of this run has it. */
export function has(feature: keyof typeof since): boolean {
  return inject('kubernetesMinor') >= since[feature]
}
