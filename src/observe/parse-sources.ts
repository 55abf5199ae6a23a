import type { Problem } from '../api/v1alpha1/problem.ts'
import type { CredentialSpec } from '../api/v1alpha1/schema.ts'
import type { KubernetesObject } from '../kubernetes/types.ts'
import { joinNames } from '../lib/join-names.ts'
import { certificatesProblem } from '../lib/pem.ts'
import { Sensitive } from '../lib/sensitive.ts'
import { decodeKey } from '../targets/secret.ts'
import {
  headerField,
  objectVersionOf,
  type SourceRef,
  type Sources,
  type SourceValues,
  type SourceVersion,
} from './observed.ts'
import { sharedStrings } from './parse-object.ts'

/** A source as the API server sends it: a Secret, or a ConfigMap. */
export interface SourceObject extends KubernetesObject {
  readonly type?: string
  readonly data?: Readonly<Record<string, string>>
  readonly binaryData?: Readonly<Record<string, string>>
}

const maxHeaderBytes = 8 * 1024
const maxHeadersBytes = 16 * 1024
/** The same for all resources without headers. */
const noHeaders = new Map<string, Sensitive>()

const serviceAccountToken = 'kubernetes.io/service-account-token'

/** Parses appKey, appSecret, CA and headers from the objects that the spec names. Pure; problems quote no value. */
export function parseSources(spec: CredentialSpec, read: readonly ReadSource[]): Sources {
  const versions = read.map(({ object, ref: { keys } }): SourceVersion => {
    const { name, resourceVersion, uid } = objectVersionOf(object)
    return sharedStrings.shareAll({ name, uid, resourceVersion, keys })
  })
  const sources: ReadSources = { read, trimmed: [], problems: [] }
  const values = valuesOf(spec, sources)
  const { problems, trimmed } = sources
  const [first] = problems
  return first === undefined
    ? { versions, values, problem: undefined, trimmed }
    : { versions, values: undefined, problem: joinProblems(first, problems), trimmed }
}

interface ReadSource {
  readonly ref: SourceRef
  readonly object: SourceObject
}

interface ReadSources {
  readonly read: readonly ReadSource[]
  /** Collects the values that ended in newlines. */
  readonly trimmed: string[]
  /** Collects what is wrong; the value is then empty. */
  readonly problems: Problem[]
}

/** One problem for all that have the reason of the first. */
function joinProblems(first: Problem, problems: readonly Problem[]): Problem {
  const messages = problems.filter(({ reason }) => reason === first.reason).map(({ message }) => message)
  return { ...first, message: joinNames(messages, '; ') }
}

function valuesOf(spec: CredentialSpec, sources: ReadSources): SourceValues {
  const { caRef, headersFrom = [] } = spec.gateway
  const appKey = valueOf(sources, 'spec.appKeyRef', 'Secret', spec.appKeyRef)
  const appSecret = valueOf(sources, 'spec.appSecretRef', 'Secret', spec.appSecretRef)
  const ca = caRef === undefined ? undefined : caOf(sources, caRef)
  const headers = headersFrom.length === 0 ? noHeaders : new Map<string, Sensitive>()
  for (const [at, { name, secretKeyRef }] of headersFrom.entries()) {
    headers.set(name, valueOf(sources, headerField(at), 'Secret', secretKeyRef))
  }
  const problem = sources.problems.length === 0 ? firstHeaderProblem(spec, headers) : undefined
  if (problem !== undefined) sources.problems.push(problem)
  return { appKey, appSecret, ca, headers }
}

function caOf(sources: ReadSources, caRef: NonNullable<CredentialSpec['gateway']['caRef']>): string {
  const ca = valueOf(sources, 'spec.gateway.caRef', caRef.kind, caRef).reveal()
  const certificates = ca === '' ? undefined : certificatesProblem(ca)
  if (certificates !== undefined) {
    const where = `spec.gateway.caRef: key ${caRef.key} of ${caRef.kind} ${caRef.name}`
    sources.problems.push(problem('InvalidCA', `${where} ${certificates}`))
  }
  return ca
}

function valueOf(
  { problems, read, trimmed }: ReadSources,
  field: string,
  kind: SourceRef['kind'],
  ref: { readonly name: string; readonly key: string },
): Sensitive {
  const refused = (reason: Problem['reason'], message: string): Sensitive => {
    problems.push(problem(reason, message))
    return new Sensitive('')
  }
  const object = read.find((one) => one.ref.kind === kind && one.ref.name === ref.name)?.object ?? { metadata: {} }
  if (object.type === serviceAccountToken) {
    const expected = 'expected a Secret made for this application'
    return refused('SourceForbidden', `${field}: Secret ${ref.name} is a service-account token; ${expected}`)
  }
  const where = `${field}: key ${ref.key} of ${kind} ${ref.name}`
  const text = textOf(kind, object, ref.key)
  if (text === undefined) {
    const doesExist = Object.hasOwn(object.data ?? {}, ref.key) || Object.hasOwn(object.binaryData ?? {}, ref.key)
    return refused('SourceKeyMissing', doesExist ? `${where} is not UTF-8 text` : `${where} does not exist`)
  }
  const value = text.reveal().replace(/[\r\n]+$/, '')
  if (value === '') return refused('SourceKeyMissing', `${where} is empty`)
  if (value.length !== text.reveal().length && kind === 'Secret' && field !== 'spec.gateway.caRef') {
    trimmed.push(`${field} (key ${ref.key} of Secret ${ref.name})`)
  }
  return new Sensitive(value)
}

/** A value that HTTP cannot carry would be refused, or end the header section early. */
function firstHeaderProblem(
  { gateway: { headersFrom = [] } }: CredentialSpec,
  values: ReadonlyMap<string, Sensitive>,
): Problem | undefined {
  let total = 0
  for (const [at, { name, secretKeyRef }] of headersFrom.entries()) {
    const value = values.get(name)?.reveal() ?? ''
    const where = `${headerField(at)}: key ${secretKeyRef.key} of Secret ${secretKeyRef.name}`
    if (value.trim() === '') return problem('SourceKeyMissing', `${where} is empty`)
    if (!/^[\x20-\x7e]*$/.test(value)) {
      return problem('SourceKeyMissing', `${where} cannot be a header value: expected printable ASCII`)
    }
    if (value.length > maxHeaderBytes) {
      return problem(
        'SourceKeyMissing',
        `${where} is too long for a header value: expected at most ${maxHeaderBytes} bytes`,
      )
    }
    total += value.length
  }
  if (total <= maxHeadersBytes) return undefined
  const message = `spec.gateway.headersFrom: expected at most ${maxHeadersBytes} bytes in all values together`
  return problem('SourceKeyMissing', message)
}

function textOf(kind: SourceRef['kind'], object: SourceObject, key: string): Sensitive | undefined {
  if (kind === 'Secret') return decodeKey(object, key)
  const text = object.data?.[key]
  return text === undefined ? undefined : new Sensitive(text)
}

function problem(reason: Problem['reason'], message: string): Problem {
  return { class: 'userMustAct', reason, message }
}
