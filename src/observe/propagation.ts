import { type Observed, type PropagationOccasion, tokenOnTargets } from './observed.ts'

/** Whether the spec asks for new tokens to be propagated to running consumers. */
export function wantsPropagation({ credential: { spec } }: Observed): boolean {
  return spec.propagation === 'Immediate' || (spec.restartOnRenewal?.length ?? 0) > 0
}

/**
 * The token that was last propagated. Recorded in the status once that is done, so that a crash in between loses nothing,
 * and the next process retries what failed. What was refused is recorded too: a restart of the operator does not retry
 * it. So is the first token of a resource: hardly a pod can lack it.
 */
export function propagatedFingerprint(observed: Observed): string | undefined {
  if (!wantsPropagation(observed)) return undefined
  const { credential, propagation } = observed
  const reason = propagation?.outcome?.reason
  if (propagation !== undefined && reason !== undefined && reason !== 'PropagationFailed') {
    return propagation.fingerprint
  }
  return credential.status.propagatedFingerprint ?? tokenOnTargets(observed)?.fingerprint
}

/**
 * Why a token on the targets is to be propagated; undefined: it was, or is being. A spec that changed since is looked at
 * once, so that a workload that does not exist and a missing permission are reported before the next token.
 */
export function propagationOccasion(observed: Observed, fingerprint: string): PropagationOccasion | undefined {
  if (!wantsPropagation(observed)) return undefined
  const { credential, propagation } = observed
  if (fingerprint !== propagation?.fingerprint) {
    if (credential.status.tokenFingerprint === undefined) return 'firstToken'
    if (fingerprint !== propagatedFingerprint(observed)) return 'renewal'
  }
  const condition = credential.status.conditions.find(({ type }) => type === 'Propagated')
  const generation = propagation?.generation ?? condition?.observedGeneration
  return generation === credential.generation ? undefined : 'specChange'
}
