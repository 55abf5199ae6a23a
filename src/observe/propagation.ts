import { type Observed, tokenOnTargets } from './observed.ts'

/** Whether somebody is to be told of new tokens. */
export function wantsPropagation({ credential: { spec } }: Observed): boolean {
  return spec.propagation === 'Immediate' || (spec.restartOnRenewal?.length ?? 0) > 0
}

/**
 * The token that consumers were told of last. Recorded in the status once they were, so that a crash in between loses
 * nothing, and the next process tries again what failed. What is refused waits for the next token: for it, no restart of
 * the operator is an occasion. The first token of a resource is no renewal: nobody holds an older one.
 */
export function propagatedFingerprint(observed: Observed): string | undefined {
  if (!wantsPropagation(observed)) return undefined
  const { credential, propagation } = observed
  const reason = propagation?.outcome?.reason
  if (propagation !== undefined && reason !== undefined && reason !== 'PropagationFailed')
    return propagation.fingerprint
  return credential.status.propagatedFingerprint ?? tokenOnTargets(observed)?.fingerprint
}
