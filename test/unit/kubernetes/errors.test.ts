import { describe, expect, it } from 'vitest'
import {
  ApiError,
  isAlreadyExists,
  isConflict,
  isExpired,
  isForbidden,
  isNotFound,
} from '../../../src/kubernetes/errors.ts'

const call = 'patch secrets plant-a/enos-token'

describe('ApiError', () => {
  it.each([
    ['an answer', { code: 404, reason: 'NotFound' }, `${call}: HTTP 404 NotFound`],
    ['no answer', { code: 0, reason: 'ECONNREFUSED' }, `${call}: connection refused (ECONNREFUSED)`],
    ['no answer in time', { code: 0, reason: 'Timeout' }, `${call}: no answer (Timeout)`],
    [
      'a certificate that is not trusted',
      { code: 0, reason: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY' },
      `${call}: the certificate is not trusted (UNABLE_TO_GET_ISSUER_CERT_LOCALLY)`,
    ],
    [
      'the paths of invalid fields',
      { code: 422, reason: 'Invalid', fields: ['metadata.name', 'data[a/b]'] },
      `${call}: HTTP 422 Invalid (metadata.name, data[a/b])`,
    ],
  ])('names the call and %s', (_what, answer, message) => {
    const error = new ApiError(call, answer)
    expect(error.message).toBe(message)
    expect(error.name).toBe('ApiError')
    expect(error).toMatchObject({ fields: [], ...answer })
  })

  const conditions = { isNotFound, isAlreadyExists, isConflict, isForbidden, isExpired }

  it.each([
    [404, 'NotFound', ['isNotFound']],
    [409, 'AlreadyExists', ['isAlreadyExists']],
    [409, 'Conflict', ['isConflict']],
    [403, 'Forbidden', ['isForbidden']],
    [410, 'Expired', ['isExpired']],
    [410, 'Gone', ['isExpired']],
    [500, 'InternalError', []],
    [0, 'Timeout', []],
  ] as const)('is classified for HTTP %d %s', (code, reason, expected) => {
    const error = new ApiError(call, { code, reason })
    expect(Object.entries(conditions).flatMap(([name, is]) => (is(error) ? [name] : []))).toEqual(expected)
  })

  it('is not recognised in an error of another class', () => {
    const lookalike = Object.assign(new Error('like one'), { code: 404, reason: 'NotFound' })
    expect(Object.values(conditions).some((is) => is(lookalike) || is(undefined))).toBe(false)
  })
})
