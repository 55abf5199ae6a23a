import { describeNetworkError } from '../lib/network-errors.ts'
import { type AdmissionDenial, describeDenial } from './admission-denial.ts'

/** The parts of an answer that an ApiError keeps. */
export interface ApiFailure {
  readonly code: number
  readonly reason: string
  readonly retryAfterMs?: number | undefined
  readonly fields?: readonly string[]
  readonly admissionDenial?: AdmissionDenial | undefined
  readonly isPermissionMissing?: boolean
  readonly isVersionTooLarge?: boolean
  /** Why no call was made, in words for the user. */
  readonly detail?: string | undefined
}

/**
 * A failed call to the API server. It carries the facts that decisions need and never the body, which may quote an
 * object's data, such as the values of a refused Secret.
 */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  /** HTTP status, or 0 where no answer came (refused, reset, timed out, unreadable). */
  readonly code: number
  /** The API server's machine-readable reason (`NotFound`, `Conflict`, …), or for code 0 the cause (`Timeout`, `ECONNREFUSED`, …). */
  readonly reason: string
  /** The wait that the server asks for, in ms. */
  readonly retryAfterMs: number | undefined
  /** Paths of the invalid fields (422), without their values. */
  readonly fields: readonly string[]
  /** The admission webhook or policy that refused the request; undefined: none did, or none that is known by name. */
  readonly admissionDenial: AdmissionDenial | undefined
  /** An authorizer (RBAC) refused the request: the operator lacks the permission. */
  readonly isPermissionMissing: boolean
  /** The requested resourceVersion is larger than any that the API server has, as after a restore of etcd. */
  readonly isVersionTooLarge: boolean
  /** Why no call was made, in words for the user. */
  readonly detail: string | undefined

  constructor(call: string, answer: ApiFailure) {
    const { admissionDenial, fields = [] } = answer
    const detail = answer.detail ?? (admissionDenial === undefined ? undefined : describeDenial(admissionDenial))
    const details = detail === undefined ? fields : [detail]
    super(
      `${call}: ${answer.code === 0 ? describeNetworkError(answer.reason, 'no answer') : `HTTP ${answer.code} ${answer.reason}`}` +
        (details.length > 0 ? ` (${details.join(', ')})` : ''),
    )
    this.code = answer.code
    this.reason = answer.reason
    this.retryAfterMs = answer.retryAfterMs
    this.fields = fields
    this.admissionDenial = admissionDenial
    this.detail = answer.detail
    this.isPermissionMissing = answer.isPermissionMissing ?? false
    this.isVersionTooLarge = answer.isVersionTooLarge ?? false
  }
}

export const isNotFound = (error: unknown): boolean => error instanceof ApiError && error.code === 404
/** An object of that name already exists. A conflict on resourceVersion has the same code with reason `Conflict`. */
export const isAlreadyExists = (error: unknown): boolean =>
  error instanceof ApiError && error.reason === 'AlreadyExists'
export const isConflict = (error: unknown): boolean =>
  error instanceof ApiError && error.code === 409 && error.reason !== 'AlreadyExists'
export const isForbidden = (error: unknown): boolean => error instanceof ApiError && error.code === 403
/** The resourceVersion has expired: it is too old to list or watch from. */
export const isExpired = (error: unknown): boolean => error instanceof ApiError && error.code === 410
/** The resourceVersion is larger than any that the API server has: its state went back. */
export const isVersionTooLarge = (error: unknown): boolean => error instanceof ApiError && error.isVersionTooLarge
/**
 * The API server does not serve the kind. For an object that does not exist it answers with reason NotFound, for a
 * missing CRD with no Status at all.
 */
export const isKindUnknown = (error: unknown): boolean =>
  error instanceof ApiError && error.code === 404 && error.reason !== 'NotFound'
