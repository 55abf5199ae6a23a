import { describe, expect, it } from 'vitest'
import { renderDetail, statusDetail } from '../../../src/commands/status-detail.ts'
import type { CredentialObject } from '../../../src/commands/status-problems.ts'
import { formatTime } from '../../../src/lib/time.ts'
import { condition, gatewayUrl, hourMs, minuteMs, now } from '../../support/builders.ts'

const at = (offsetMs: number): string => formatTime(now + offsetMs)
const written = (name: string, rest: object = {}): object => ({
  name,
  uid: `uid-${name}`,
  resourceVersion: '20',
  creationPolicy: 'Owner',
  deletionPolicy: 'Delete',
  keys: ['accessToken', 'expiresAt'],
  ...rest,
})
const spec = {
  gateway: { url: gatewayUrl, caRef: { kind: 'ConfigMap', name: 'corp-ca' } },
  appKeyRef: { name: 'enos-app' },
  appSecretRef: { name: 'enos-app' },
  targets: [{ name: 'enos-token' }, { name: 'shared', creationPolicy: 'Merge', deletionPolicy: 'Retain' }],
  propagation: 'Immediate',
  restartOnRenewal: [{ kind: 'Deployment', name: 'collector' }],
}
const working = {
  observedGeneration: 1,
  conditions: [
    condition('Ready', 'True', 'Synced', '2 targets hold a valid token'),
    condition('RenewalHealthy', 'True', 'Synced', 'the last attempt to get or refresh the token worked'),
    condition('Propagated', 'True', 'Propagated', '3 pods'),
  ],
  expiresAt: at(84 * minuteMs),
  issuedAt: at(-36 * minuteMs),
  nextRenewalAt: at(hourMs),
  lastRenewalAt: at(-36 * minuteMs),
  lastRenewalMethod: 'refresh',
  consecutiveFailures: 0,
  tokenFingerprint: 'aaaaaaaaaaaa',
  propagatedFingerprint: 'aaaaaaaaaaaa',
  sources: [{ name: 'enos-app', uid: 'uid-enos-app', resourceVersion: '10', keys: ['appKey', 'appSecret'] }],
  targets: [
    written('enos-token', { lastWrite: { reason: 'NewToken', at: at(-36 * minuteMs) } }),
    written('old-token', { lastWrite: { reason: 'SpecChanged', at: at(-2 * hourMs) } }),
  ],
}

function object(status: unknown, overrides: object = {}, given: object = spec): CredentialObject {
  return { metadata: { namespace: 'plant-a', name: 'wind-farm', generation: 1, ...overrides }, spec: given, status }
}
const textOf = (one: CredentialObject): string => renderDetail(statusDetail(one, now), now)

describe('renderDetail', () => {
  it('shows a resource in full', () => {
    expect(textOf(object(working))).toMatchInlineSnapshot(`
      "Name:            wind-farm
      Namespace:       plant-a
      Gateway:         https://apim.example.com
      Renewal method:  Auto
      Ready:           True

      Token:
        Expires:               2026-01-01T13:24:00Z (in 1h24m)
        First received:        2026-01-01T11:24:00Z (36m ago)
        Next renewal:          2026-01-01T13:00:00Z (in 1h)
        Last renewal:          2026-01-01T11:24:00Z (36m ago), by refresh
        Consecutive failures:  0
        Fingerprint:           aaaaaaaaaaaa

      Conditions:
        TYPE            STATUS  REASON      SINCE                          MESSAGE
        Ready           True    Synced      2026-01-01T11:00:00Z (1h ago)  2 targets hold a valid token
        RenewalHealthy  True    Synced      2026-01-01T11:00:00Z (1h ago)  the last attempt to get or refresh the token worked
        Propagated      True    Propagated  2026-01-01T11:00:00Z (1h ago)  3 pods

      Targets:
        NAME                                   POLICIES       KEYS                    LAST WRITE                      REASON
        enos-token                             Owner, Delete  accessToken, expiresAt  2026-01-01T11:24:00Z (36m ago)  NewToken: there was a new token
        shared                                 Merge, Retain  not written yet         -                               -
        old-token (no longer in spec.targets)  Owner, Delete  accessToken, expiresAt  2026-01-01T10:00:00Z (2h ago)   SpecChanged: the spec had changed

      Sources:
        OBJECT             KEYS               FIELDS                             USED VERSION
        Secret enos-app    appKey, appSecret  spec.appKeyRef, spec.appSecretRef  10
        ConfigMap corp-ca  ca.crt             spec.gateway.caRef                 none yet

      Propagation:
        Policy:      Immediate: pods that mount a target get a new token at once; restarts on renewal: Deployment collector
        Propagated:  the present token (Propagated)
      "
    `)
  })

  it('shows a resource that no operator reconciles any more', () => {
    const late = { expiresAt: at(-136_000), nextRenewalAt: at(-26 * minuteMs), propagatedFingerprint: undefined }
    const deletion = { deletionTimestamp: at(-3 * minuteMs), finalizers: ['enos.io/merge-cleanup'] }
    expect(textOf(object({ ...working, ...late }, deletion))).toMatchInlineSnapshot(`
      "Name:            wind-farm
      Namespace:       plant-a
      Gateway:         https://apim.example.com
      Renewal method:  Auto
      Ready:           False (the token has expired; the condition is outdated)

      Problems:
        Deleting: deletion in progress for 3m, waiting for enos.io/merge-cleanup: is the operator running?
        TokenExpired: the token expired 2m16s ago
        RenewalOverdue: the renewal is overdue by 26m

      Token:
        Expires:               2026-01-01T11:57:44Z (expired 2m16s ago)
        First received:        2026-01-01T11:24:00Z (36m ago)
        Next renewal:          2026-01-01T11:34:00Z (overdue by 26m)
        Last renewal:          2026-01-01T11:24:00Z (36m ago), by refresh
        Consecutive failures:  0
        Fingerprint:           aaaaaaaaaaaa

      Conditions:
        TYPE            STATUS  REASON      SINCE                          MESSAGE
        Ready           True    Synced      2026-01-01T11:00:00Z (1h ago)  2 targets hold a valid token
        RenewalHealthy  True    Synced      2026-01-01T11:00:00Z (1h ago)  the last attempt to get or refresh the token worked
        Propagated      True    Propagated  2026-01-01T11:00:00Z (1h ago)  3 pods

      Targets:
        NAME                                   POLICIES       KEYS                    LAST WRITE                      REASON
        enos-token                             Owner, Delete  accessToken, expiresAt  2026-01-01T11:24:00Z (36m ago)  NewToken: there was a new token
        shared                                 Merge, Retain  not written yet         -                               -
        old-token (no longer in spec.targets)  Owner, Delete  accessToken, expiresAt  2026-01-01T10:00:00Z (2h ago)   SpecChanged: the spec had changed

      Sources:
        OBJECT             KEYS               FIELDS                             USED VERSION
        Secret enos-app    appKey, appSecret  spec.appKeyRef, spec.appSecretRef  10
        ConfigMap corp-ca  ca.crt             spec.gateway.caRef                 none yet

      Propagation:
        Policy:      Immediate: pods that mount a target get a new token at once; restarts on renewal: Deployment collector
        Propagated:  not the present token yet (Propagated)
      "
    `)
  })

  it('shows a resource without status', () => {
    const { gateway, ...rest } = spec
    const minimal = { ...rest, gateway: { url: gateway.url }, propagation: undefined, restartOnRenewal: undefined }
    expect(textOf(object(undefined, {}, { ...minimal, suspend: true }))).toMatchInlineSnapshot(`
      "Name:            wind-farm
      Namespace:       plant-a
      Gateway:         https://apim.example.com
      Renewal method:  Auto
      Suspended:       yes: spec.suspend is true, so nothing is renewed
      Ready:           Unknown

      Problems:
        NotReconciled: no operator has reconciled it yet: is the operator running?

      Token:
        Expires:               no token on the targets
        First received:        -
        Next renewal:          none: spec.suspend is true
        Last renewal:          never
        Consecutive failures:  0
        Fingerprint:           -

      Targets:
        NAME        POLICIES       KEYS             LAST WRITE  REASON
        enos-token  Owner, Delete  not written yet  -           -
        shared      Merge, Retain  not written yet  -           -

      Sources:
        OBJECT           KEYS               FIELDS                             USED VERSION
        Secret enos-app  appKey, appSecret  spec.appKeyRef, spec.appSecretRef  none yet
      "
    `)
  })

  it('shows a resource with an invalid spec', () => {
    const conditions = [condition('Ready', 'False', 'InvalidSpec', 'spec.gateway.url: expected a URL')]
    expect(textOf(object({ conditions }, {}, { targets: 3 }))).toMatchInlineSnapshot(`
      "Name:       wind-farm
      Namespace:  plant-a
      Gateway:    unknown: the spec is invalid
      Ready:      False

      Problems:
        InvalidSpec: spec.gateway.url: expected a URL

      Token:
        Expires:               no token on the targets
        First received:        -
        Next renewal:          none planned
        Last renewal:          never
        Consecutive failures:  0
        Fingerprint:           -

      Conditions:
        TYPE   STATUS  REASON       SINCE                          MESSAGE
        Ready  False   InvalidSpec  2026-01-01T11:00:00Z (1h ago)  spec.gateway.url: expected a URL
      "
    `)
  })

  it('replaces control characters', () => {
    const conditions = [condition('Ready', 'False', 'TemplateError', 'a\u001b[2Jb\nName: faked')]
    expect(textOf(object({ ...working, conditions }))).not.toMatch(/[\u001b]|\nName: faked/)
  })
})

describe('statusDetail', () => {
  it('reads lastWrite tolerantly', () => {
    const lastWrites = [undefined, null, 'x', {}, { reason: 3, at: 'x' }, { reason: 'Drift', at: at(0) }]
    const details = lastWrites.map((lastWrite) =>
      statusDetail(object({ ...working, targets: [{ ...written('enos-token'), lastWrite }] }), now),
    )
    expect(details.map(({ targets }) => targets[0]?.lastWrite)).toEqual([
      ...Array.from({ length: 5 }, () => null),
      { reason: 'Drift', at: at(0) },
    ])
  })
})
