import { describe, expect, it } from 'vitest'
import { formatTime } from '../../../src/lib/time.ts'
import type { TargetRecord } from '../../../src/observe/observed.ts'
import { isRenewedElsewhere } from '../../../src/observe/other-operator.ts'
import {
  applicationView,
  heldToken,
  hourMs,
  minuteMs,
  now,
  operator,
  secret,
  synced,
  targetRecord,
} from '../../support/builders.ts'
import { failure } from '../enos/support.ts'

const name = 'enos-token'

/** The expiry of a token that lives longer than ours. */
const laterExpiry = now + 2 * hourMs

/** The record of the target with this token. */
function recordOf(token: Parameters<typeof heldToken>[0], creationPolicy: TargetRecord['creationPolicy'] = 'Owner') {
  return targetRecord({ creationPolicy }, heldToken(token))
}

/** The target holds another token, which that field manager wrote; our renewal is due at that time. */
function world({ manager = operator, renewalAtWall = now, ...rest }: WorldOptions = {}) {
  const fieldsV1 = { 'f:data': { 'f:accessToken': {} } }
  const content = secret(
    { accessToken: rest.token ?? 'newer' },
    {
      metadata: {
        managedFields: [{ manager, operation: 'Update', fieldsV1 }],
        ...(rest.expiresAtWall === undefined
          ? {}
          : { annotations: { 'enos.io/expires-at': formatTime(rest.expiresAtWall) } }),
      },
    },
  )
  return synced({
    ...(rest.recorded === undefined ? {} : { record: new Map(rest.recorded.map((one) => [one.name, one])) }),
    application: applicationView({
      renewalAtWall,
      failure: rest.hasFailed === true ? failure() : undefined,
      handledRequest: rest.handledHere,
    }),
    targetContents: new Map([[name, content]]),
    credential: {
      renewRequest: rest.renewRequest,
      ...(rest.handledBefore === undefined ? {} : { status: { lastHandledRenewRequest: rest.handledBefore } }),
    },
  })
}

interface WorldOptions {
  readonly manager?: string
  readonly renewalAtWall?: number
  readonly token?: string
  readonly expiresAtWall?: number
  readonly hasFailed?: boolean
  /** Default: the target with our present token. */
  readonly recorded?: readonly TargetRecord[]
  readonly renewRequest?: string
  /** The request that this process has handled, and the one of the status. */
  readonly handledHere?: string
  readonly handledBefore?: string
}

describe('isRenewedElsewhere', () => {
  it.each([operator, 'enos-credential:uid-wind-farm'])(
    'isRenewedElsewhere is true for another token by %s while our renewal is due',
    (manager) => {
      expect(isRenewedElsewhere(world({ manager }), name, now)).toBe(true)
      expect(isRenewedElsewhere(world({ manager, renewalAtWall: now + 5000 }), name, now)).toBe(true)
    },
  )

  it('isRenewedElsewhere is true while a renewal is requested', () => {
    const renewalAtWall = now + 30 * minuteMs
    expect(isRenewedElsewhere(world({ renewalAtWall, renewRequest: '1' }), name, now)).toBe(true)
  })

  it.each<[string, WorldOptions]>([
    ['our renewal is not due', { renewalAtWall: now + 30 * minuteMs }],
    ['another writer wrote it', { manager: 'kubectl' }],
    ['another credential wrote it', { manager: 'enos-credential:another' }],
    ['our renewal has failed', { hasFailed: true }],
    ['the target has an older token, as after a change of the spec', { token: 'older', expiresAtWall: now - minuteMs }],
    [
      'a Merge target has the token that this process wrote before',
      { token: 'older', recorded: [recordOf({ value: 'older' }, 'Merge')] },
    ],
    [
      'the target has the token of another application that this process wrote before',
      {
        token: 'longer',
        expiresAtWall: laterExpiry,
        recorded: [recordOf({ value: 'longer', expiresAt: laterExpiry })],
      },
    ],
    [
      'no token of the target is recorded, as before an adoption',
      { token: 'longer', expiresAtWall: laterExpiry, recorded: [] },
    ],
    [
      'no token of the target is recorded, as after a change of its owner alone',
      { token: 'longer', expiresAtWall: laterExpiry, recorded: [targetRecord({ token: undefined })] },
    ],
    [
      'no version of the target is recorded, as after a restart while it held another token than the status',
      { token: 'longer', expiresAtWall: laterExpiry, recorded: [targetRecord({ resourceVersion: '' })] },
    ],
    ['our renewal has been due for a minute', { renewalAtWall: now - minuteMs }],
    ['the annotation of a handled request was removed', { renewalAtWall: now + 30 * minuteMs, handledHere: '1' }],
    [
      'a restore of etcd brings an older request back',
      { renewalAtWall: now + 30 * minuteMs, renewRequest: '1', handledBefore: '1', handledHere: '2' },
    ],
  ])('isRenewedElsewhere is false where %s', (_, options) => {
    expect(isRenewedElsewhere(world(options), name, now)).toBe(false)
  })

  it('isRenewedElsewhere is true for the recorded token with a later expiry than the recorded one', () => {
    const options = { token: 'longer', recorded: [recordOf({ value: 'longer', expiresAt: laterExpiry })] }
    const isRenewed = (ms: number) =>
      isRenewedElsewhere(world({ ...options, expiresAtWall: laterExpiry + ms }), name, now)
    expect([isRenewed(2000), isRenewed(3000)]).toEqual([false, true])
  })

  it('isRenewedElsewhere is true for our token with a later expiry, and false with our expiry', () => {
    const token = world().application?.token
    const later = (ms: number) =>
      isRenewedElsewhere(
        world({ token: token?.token.reveal() ?? '', expiresAtWall: (token?.expiresAtWall ?? 0) + ms }),
        name,
        now,
      )
    expect([later(0), later(2000), later(3000)]).toEqual([false, false, true])
  })

  it('isRenewedElsewhere is false for our own token, and for a target that was not read', () => {
    const own = world()
    const token = own.application?.token?.token.reveal() ?? ''
    expect(isRenewedElsewhere(world({ token }), name, now)).toBe(false)
    expect(isRenewedElsewhere({ ...own, targetContents: new Map() }, name, now)).toBe(false)
  })
})
