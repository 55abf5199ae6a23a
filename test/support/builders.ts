import { normaliseGatewayUrl, parseSpec, parseStatus } from '../../src/api/v1alpha1/credential.ts'
import type { Problem } from '../../src/api/v1alpha1/problem.ts'
import type { CredentialStatus } from '../../src/api/v1alpha1/status-schema.ts'
import { fingerprintOf } from '../../src/enos/signature.ts'
import { Sensitive } from '../../src/lib/sensitive.ts'
import { formatTime } from '../../src/lib/time.ts'
import { compileAll } from '../../src/observe/credential-state.ts'
import { inputsOf } from '../../src/observe/inputs.ts'
import {
  type Credential,
  type ObjectMetadata,
  type Observed,
  sourceRefs,
  type Sources,
  type TargetRecord,
} from '../../src/observe/observed.ts'
import { appKeyFingerprintOf } from '../../src/observe/token-origin.ts'
import { nextStatus } from '../../src/status/next-status.ts'
import type { Secret } from '../../src/targets/secret.ts'
import type { ApplicationView } from '../../src/tokens/application-view.ts'
import type { HeldToken } from '../../src/tokens/held-token.ts'
import type { Membership } from '../../src/tokens/membership.ts'

/** The present time of all builders, on the monotonic clock and the wall clock. */
export const now = Date.UTC(2026, 0, 1, 12)
export const minuteMs = 60_000
export const hourMs = 60 * minuteMs

/** Recognisable secret values, so that a test finds a leak in any output. */
export const marker = {
  appKey: 'marker-app-key-5f1e',
  appSecret: 'marker-app-secret-9a7c',
  token: 'marker-access-token-3b2d',
} as const

export const gatewayUrl = 'https://apim.example.com'
export const operator = 'enos-credential-operator'
/** The fingerprint in the status of `credential`. */
export const appKeyFingerprint = appKeyFingerprintOf({ uid: 'uid-wind-farm' }, new Sensitive(marker.appKey))

/** A part of a spec, as in a manifest. */
export type SpecInput = Record<string, unknown> & { readonly gateway?: Record<string, unknown> }

export function spec(overrides: SpecInput = {}): Credential['spec'] {
  const { gateway, ...rest } = overrides
  const parsed = parseSpec('wind-farm', {
    gateway: { url: gatewayUrl, ...gateway },
    appKeyRef: { name: 'enos-app' },
    appSecretRef: { name: 'enos-app' },
    targets: [{ name: 'enos-token' }],
    ...rest,
  })
  if (!parsed.ok) throw new Error(parsed.problems.join('; '))
  return parsed.spec
}

export function status(overrides: Record<string, unknown> = {}): CredentialStatus {
  return { ...parseStatus({}), ...overrides }
}

export function condition(type: string, value: 'True' | 'False' | 'Unknown' = 'True', reason = 'Synced', message = '') {
  return { type, status: value, reason, message, observedGeneration: 1, lastTransitionTime: formatTime(now - hourMs) }
}

export type CredentialInput = Partial<Omit<Credential, 'spec' | 'status'>> & {
  readonly spec?: SpecInput
  readonly status?: Partial<CredentialStatus>
}

export function credential(overrides: CredentialInput = {}): Credential {
  return {
    key: 'plant-a/wind-farm',
    namespace: 'plant-a',
    name: 'wind-farm',
    uid: 'uid-wind-farm',
    resourceVersion: '100',
    generation: 1,
    isDeleting: false,
    renewRequest: undefined,
    finalizers: [],
    ...overrides,
    status: status(overrides.status),
    spec: spec(overrides.spec),
  }
}

export function metadata(overrides: Partial<ObjectMetadata> = {}): ObjectMetadata {
  return {
    namespace: 'plant-a',
    name: 'enos-app',
    uid: `uid-${overrides.name ?? 'enos-app'}`,
    resourceVersion: '10',
    controllerUid: undefined,
    isControlledByCredential: false,
    retainedFor: undefined,
    isDeleting: false,
    writtenAtWall: undefined,
    ...overrides,
  }
}

/** The metadata of a target Secret that the credential owns. */
export function ownTarget(overrides: Partial<ObjectMetadata> = {}): ObjectMetadata {
  return metadata({
    name: 'enos-token',
    resourceVersion: '20',
    controllerUid: 'uid-wind-farm',
    isControlledByCredential: true,
    ...overrides,
  })
}

/** A token that expires in an hour. */
export function heldToken(overrides: Partial<HeldToken> & { value?: string } = {}): HeldToken {
  const { value = marker.token, ...rest } = overrides
  const token = new Sensitive(value)
  return {
    token,
    fingerprint: fingerprintOf(token),
    expiresAt: now + hourMs,
    expiresAtWall: rest.expiresAt ?? now + hourMs,
    issuedAtWall: now - hourMs,
    lifetimeMs: 2 * hourMs,
    ...rest,
  }
}

export function applicationView(overrides: Partial<ApplicationView> = {}): ApplicationView {
  return {
    token: heldToken(),
    renewalAtWall: now + 30 * minuteMs,
    method: 'Refresh',
    isRefreshMissing: false,
    isClamped: false,
    failure: undefined,
    failures: 0,
    lastRenewal: { atWall: now - hourMs, operation: 'get' },
    handledRequest: undefined,
    memberCount: 1,
    ...overrides,
  }
}

export function membership(overrides: Partial<Membership> = {}): Membership {
  return {
    gatewayUrl,
    appKey: new Sensitive(marker.appKey),
    appSecret: new Sensitive(marker.appSecret),
    renewBeforeMs: undefined,
    renewalMethod: 'Auto',
    timeoutMs: 10_000,
    ca: undefined,
    tlsServerName: undefined,
    headers: new Map(),
    verifyEveryMs: undefined,
    recorded: undefined,
    hasHadToken: false,
    renewRequest: undefined,
    ...overrides,
  }
}

/** The source Secret as the status records it. */
export function sourceVersion(resourceVersion = '10') {
  return { name: 'enos-app', uid: 'uid-enos-app', resourceVersion, keys: ['appKey', 'appSecret'] }
}

export function sources({ problem, ...overrides }: Partial<Sources> = {}): Sources {
  const values = {
    appKey: new Sensitive(marker.appKey),
    appSecret: new Sensitive(marker.appSecret),
    ca: undefined,
    headers: new Map(),
  }
  const reading = { versions: [sourceVersion()], trimmed: [], ...overrides }
  return problem === undefined
    ? { ...reading, values: overrides.values ?? values, problem }
    : { ...reading, values: undefined, problem }
}

/** The record of a target that holds `token`. */
export function targetRecord(overrides: Partial<TargetRecord> = {}, token: HeldToken = heldToken()): TargetRecord {
  const { fingerprint, expiresAt, expiresAtWall, issuedAtWall } = token
  return {
    name: 'enos-token',
    uid: 'uid-enos-token',
    resourceVersion: '20',
    creationPolicy: 'Owner',
    deletionPolicy: 'Delete',
    keys: ['accessToken', 'expiresAt'],
    token: { fingerprint, expiresAt, expiresAtWall, issuedAtWall, gatewayUrl, appKeyFingerprint },
    inputs: JSON.stringify({ generation: 1 }),
    lastWrite: undefined,
    ...overrides,
  }
}

export type ObservedInput = Partial<Omit<Observed, 'credential'>> & {
  readonly credential?: CredentialInput
}

/** A new resource; its source exists and was not read. */
export function observed({ credential: given, ...overrides }: ObservedInput = {}): Observed {
  const of = credential(given)
  return {
    credential: of,
    gatewayUrl: normaliseGatewayUrl(of.spec.gateway.url),
    ...compileAll(of),
    isGatewayAllowed: true,
    sourceRefs: sourceRefs(of.spec),
    sourceMetas: sourceRefs(of.spec).map(({ name }) => metadata({ name })),
    sources: undefined,
    sourceProblem: undefined,
    configMapsAwaitedSince: undefined,
    targetMetas: new Map(),
    targetContents: new Map(),
    targetProblems: new Map(),
    record: new Map(),
    membership: undefined,
    application: undefined,
    isAlive: (uid) => uid === of.uid,
    nameOf: (uid) => (uid === of.uid ? of.name : undefined),
    otherOwnerOf: () => undefined,
    adoptions: new Map(),
    propagation: undefined,
    isSummoned: false,
    firstSeenAt: now - minuteMs,
    statusWrittenAt: Number.NEGATIVE_INFINITY,
    prunedStatus: undefined,
    ownStatus: undefined,
    statusContest: undefined,
    isStatusDue: false,
    finalizerWrite: undefined,
    notes: new Map(),
    contests: new Map(),
    alterations: new Map(),
    fieldManager: operator,
    wallOffset: 0,
    ...overrides,
  }
}

/** A member of an application with a token; no target is written yet. */
export function joined(overrides: ObservedInput = {}): Observed {
  return observed({ sources: sources(), membership: membership(), application: applicationView(), ...overrides })
}

/** A resource in sync: it has joined, and its target holds the token. */
export function synced({ credential: given = {}, ...overrides }: ObservedInput = {}): Observed {
  const base = joined({ ...overrides, credential: given })
  const records = base.credential.spec.targets.map(({ name, creationPolicy, deletionPolicy }) =>
    targetRecord({ name, uid: `uid-${name}`, creationPolicy, deletionPolicy, inputs: inputsOf(base, name) }),
  )
  return {
    ...base,
    targetMetas: new Map(records.map(({ name, creationPolicy }) => [name, targetMeta(name, creationPolicy)])),
    record: new Map(records.map((one) => [one.name, one])),
    ...overrides,
  }
}

/** A synced resource after a restart: only its status and the watched metadata are known. */
export function restarted(overrides: ObservedInput = {}): Observed {
  const { expiresAtWall, fingerprint, issuedAtWall } = heldToken()
  const { credential: given, ...rest } = overrides
  return synced({
    sources: undefined,
    membership: undefined,
    application: undefined,
    ...rest,
    credential: {
      ...given,
      status: status({
        observedGeneration: 1,
        conditions: [condition('Ready'), condition('RenewalHealthy')],
        expiresAt: formatTime(expiresAtWall),
        issuedAt: formatTime(issuedAtWall),
        nextRenewalAt: formatTime(now + 30 * minuteMs),
        consecutiveFailures: 0,
        tokenFingerprint: fingerprint,
        gateway: gatewayUrl,
        appKeyFingerprint,
        sources: [sourceVersion()],
        targets: [
          {
            name: 'enos-token',
            uid: 'uid-enos-token',
            resourceVersion: '20',
            creationPolicy: 'Owner',
            deletionPolicy: 'Delete',
            keys: ['accessToken', 'expiresAt'],
          },
        ],
        ...given?.status,
      }),
    },
  })
}

/** The same observation with its status written. */
export function reported(one: Observed, problem?: Problem, at = now): Observed {
  return { ...one, credential: { ...one.credential, status: nextStatus(one, problem, at) } }
}

/** A Secret with its data, as GET returns it. */
export function secret(
  data: Readonly<Record<string, string>> = {},
  overrides: Partial<Omit<Secret, 'metadata' | 'data'>> & { readonly metadata?: Partial<Secret['metadata']> } = {},
): Secret {
  const { metadata: meta, ...rest } = overrides
  return {
    type: 'Opaque',
    ...rest,
    metadata: {
      namespace: 'plant-a',
      name: 'enos-token',
      uid: 'uid-enos-token',
      resourceVersion: '20',
      ...meta,
    },
    data: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')])),
  }
}

function targetMeta(name: string, creationPolicy: TargetRecord['creationPolicy']): ObjectMetadata {
  return creationPolicy === 'Owner' ? ownTarget({ name }) : metadata({ name, resourceVersion: '20' })
}
