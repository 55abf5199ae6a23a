import { annotations } from '../api/v1alpha1/names.ts'
import type { CredentialStatus } from '../api/v1alpha1/status-schema.ts'
import { agreementMs } from '../observe/other-operator.ts'
import type { Secret } from '../targets/secret.ts'
import type { HeldToken } from '../tokens/held-token.ts'

/**
 * The token with the times that another operator has given it on the target or in the status, where they are as good as
 * ours. Otherwise two operators on one resource would correct each other's times without end. Pure.
 */
export function agreedToken(token: HeldToken, { metadata }: Secret, status: CredentialStatus): HeldToken {
  const written = metadata.annotations ?? {}
  const [expiresAtWall, issuedAtWall] = [annotations.expiresAt, annotations.issuedAt].map((name) =>
    Date.parse(written[name] ?? ''),
  )
  if (isNear(expiresAtWall, token.expiresAtWall) && isNear(issuedAtWall, token.issuedAtWall)) {
    return { ...token, expiresAtWall, issuedAtWall }
  }
  const recorded = {
    expiresAtWall: Date.parse(status.expiresAt ?? ''),
    issuedAtWall: Date.parse(status.issuedAt ?? ''),
  }
  const isRecorded =
    status.tokenFingerprint === token.fingerprint &&
    isNear(recorded.expiresAtWall, token.expiresAtWall) &&
    !Number.isNaN(recorded.issuedAtWall)
  return isRecorded ? { ...token, ...recorded } : token
}

function isNear(time: number | undefined, other: number): time is number {
  return time !== undefined && Math.abs(time - other) <= agreementMs
}
