import { normaliseGatewayUrl } from '../api/v1alpha1/credential.ts'
import { type Reason, reasons } from '../api/v1alpha1/reasons.ts'
import type { CredentialSpec } from '../api/v1alpha1/schema.ts'
import { isForbidden, isKindUnknown, isNotFound } from '../kubernetes/errors.ts'
import {
  configMaps,
  credentials,
  type KubernetesClient,
  type KubernetesObject,
  type ObjectRef,
  secrets,
} from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import { parseDuration } from '../lib/duration.ts'
import { joinNames } from '../lib/join-names.ts'
import { compileAll } from '../observe/credential-state.ts'
import { type SourceRef, sourceRefs } from '../observe/observed.ts'
import { parseCredential, type StoredCredential } from '../observe/parse-object.ts'
import { parseSources, type SourceObject } from '../observe/parse-sources.ts'
import type { InputNames } from './check-advice.ts'
import type { CheckRequest } from './check-gateway.ts'
import { failed, ok, type Step, unchecked, unknown } from './check-steps.ts'
import { checkTargets } from './check-targets.ts'
import { permissionAdvice } from './permission-advice.ts'
import { notFoundText } from './resource-ref.ts'

/** `request` is absent when something is missing; the steps name it. */
interface ResourceRead {
  readonly steps: readonly Step[]
  readonly request?: CheckRequest
  readonly names?: InputNames
}

interface ReadOptions {
  /** Instead of the resource's own. */
  readonly timeoutMs: number | undefined
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * Reads a resource and its sources with the permissions of the user.
 * @throws ApiError other than 403 and 404
 */
export async function readResource(
  client: KubernetesClient,
  ref: ObjectRef,
  { clock, signal, timeoutMs }: ReadOptions,
): Promise<ResourceRead> {
  const named = `EnosAppCredential ${ref.namespace}/${ref.name}`
  const resource = await find(() =>
    client.get<KubernetesObject & { readonly spec?: unknown }>(credentials, ref, { signal }),
  )
  if (resource === 'forbidden') {
    const advice = permissionAdvice('get', ref.namespace).replace(/^a/, 'A')
    return {
      steps: [unchecked('resource', `forbidden: cannot get ${named}`, `${advice}; or use another --kubeconfig.`)],
    }
  }
  if (resource === 'missing') {
    const advice = 'Check namespace and name: enos-credential-operator status'
    return { steps: [unchecked('resource', notFoundText(ref), advice)] }
  }
  const credential = parseCredential(resource)
  const { spec } = credential
  if (spec === undefined) {
    return { steps: [failedBecause('resource', credential.problems.join('; '), 'InvalidSpec')] }
  }
  const sources = await readAllSources(client, ref.namespace, spec, signal)
  const { step, request } = 'step' in sources ? { step: sources.step, request: undefined } : assess(spec, sources.read)
  const first = resourceStep(named, spec)
  const targets = first.result === 'ok' ? await checkTargets({ client, clock, signal }, credential) : unknown('targets')
  const steps = [refusalOf(credential) ?? first, step, targets]
  return request === undefined
    ? { steps }
    : { steps, names: namesOf(spec, timeoutMs), request: timeoutMs === undefined ? request : { ...request, timeoutMs } }
}

/** What only the operator knows: its --allowed-gateways. An older generation had perhaps another gateway. */
function refusalOf({ generation, status }: StoredCredential): Step | undefined {
  const refusal = status.conditions.find(({ reason }) => reason === 'GatewayNotAllowed')
  return refusal === undefined || status.observedGeneration !== generation
    ? undefined
    : failedBecause('resource', `the operator reports: ${refusal.message}`, 'GatewayNotAllowed')
}

/** The operator asks for no token while a template is broken. */
function resourceStep(named: string, spec: CredentialSpec): Step {
  const { templateProblem: problem } = compileAll({ spec })
  return problem === undefined
    ? ok('resource', `${named} is valid`)
    : failedBecause('resource', problem.message, problem.reason)
}

function namesOf(
  { appKeyRef, appSecretRef, gateway: { caRef } }: CredentialSpec,
  timeoutMs: number | undefined,
): InputNames {
  return {
    url: 'spec.gateway.url',
    timeout: timeoutMs === undefined ? 'spec.gateway.timeout' : '--timeout',
    ca: 'spec.gateway.caRef',
    ...(caRef === undefined
      ? {}
      : { usedCa: `the CA in spec.gateway.caRef (${caRef.kind} ${caRef.name}, key ${caRef.key})` }),
    tlsServerName: 'spec.gateway.tlsServerName',
    appKey: `key ${appKeyRef.key} of Secret ${appKeyRef.name}`,
    appSecret: `key ${appSecretRef.key} of Secret ${appSecretRef.name}`,
    headers: 'spec.gateway.headersFrom',
  }
}

/** A failure for which a condition of the resource has this reason. */
function failedBecause(step: Step['step'], detail: string, reason: Reason): Step {
  return failed(step, detail, reasons[reason].whatToDo)
}

interface ReadSource {
  readonly ref: SourceRef
  readonly object: SourceObject
}

/** Gets all sources of the spec. @returns a step that names those that are missing or forbidden */
async function readAllSources(
  client: KubernetesClient,
  namespace: string,
  spec: CredentialSpec,
  signal: AbortSignal,
): Promise<{ readonly read: readonly ReadSource[] } | { readonly step: Step }> {
  const read: ReadSource[] = []
  const missing: string[] = []
  const forbidden: string[] = []
  for (const ref of sourceRefs(spec)) {
    const type = ref.kind === 'Secret' ? secrets : configMaps
    const object = await find(() => client.get<SourceObject>(type, { namespace, name: ref.name }, { signal }))
    const where = `${ref.kind} ${ref.name} in namespace ${namespace}`
    const fields = ref.fields.join(' and ')
    if (object === 'forbidden') {
      forbidden.push(`${fields}: forbidden: cannot get ${where}`)
    } else if (object === 'missing') {
      missing.push(`${fields}: ${ref.kind} ${ref.name} not found in namespace ${namespace}`)
    } else {
      read.push({ ref, object })
    }
  }
  const detail = [...missing, ...forbidden].join('; ')
  if (missing.length > 0) return { step: failedBecause('sources', detail, 'SourceSecretNotFound') }
  if (forbidden.length > 0) {
    const advice = 'Use a --kubeconfig that may get it. The operator has permissions of its own.'
    return { step: unchecked('sources', detail, advice) }
  }
  return { read }
}

function assess(
  spec: CredentialSpec,
  read: readonly ReadSource[],
): { readonly step: Step; readonly request?: CheckRequest } {
  const { problem, trimmed, values } = parseSources(spec, read)
  if (problem !== undefined) {
    const present = problem.reason === 'SourceKeyMissing' ? presentKeys(read) : ''
    return { step: failedBecause('sources', `${problem.message}${present}`, problem.reason) }
  }
  const { appKey, appSecret, ca, headers } = values
  const { tlsServerName } = spec.gateway
  const names = read.map(({ ref: { kind, name } }) => `${kind} ${name}`).join(', ')
  const hint = trimmed.length === 0 ? '' : `; trailing newlines were trimmed: ${trimmed.join(', ')}`
  return {
    step: ok('sources', `${names}${hint}`),
    request: {
      gatewayUrl: normaliseGatewayUrl(spec.gateway.url),
      appKey,
      appSecret,
      timeoutMs: parseDuration(spec.gateway.timeout),
      ...(ca === undefined ? {} : { ca }),
      ...(headers.size === 0 ? {} : { headers: [...headers] }),
      ...(tlsServerName === undefined ? {} : { tlsServerName }),
    },
  }
}

/**
 * The keys of the objects that lack one. Only here, where the user has read them: a condition is also read by users who
 * may not get the Secret.
 */
function presentKeys(read: readonly ReadSource[]): string {
  const lacking = read.flatMap(({ object: { binaryData = {}, data = {} }, ref: { keys, kind, name } }) => {
    const present = Object.keys({ ...data, ...binaryData })
    if (keys.every((key) => present.includes(key))) return []
    const word = present.length === 1 ? 'key' : 'keys'
    return [`${kind} ${name} has ${present.length === 0 ? 'no keys' : `the ${word} ${joinNames(present)}`}`]
  })
  return lacking.length === 0 ? '' : `; ${joinNames(lacking, '; ')}`
}

async function find<T extends KubernetesObject>(get: () => Promise<T>): Promise<T | 'missing' | 'forbidden'> {
  try {
    return await get()
  } catch (error) {
    if (isNotFound(error) && !isKindUnknown(error)) return 'missing'
    if (isForbidden(error)) return 'forbidden'
    throw error
  }
}
