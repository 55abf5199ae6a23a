import { group, kind, plural, version } from '../api/v1alpha1/names.ts'
import type { ObjectRef } from '../kubernetes/types.ts'
import { UsageError } from './errors.ts'

/** A resource as given on the command line. */
export interface ResourceName {
  /** Undefined: the namespace of the kubeconfig context. */
  readonly namespace: string | undefined
  readonly name: string
}

const label = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/
const dnsName = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/
/** The names by which kubectl knows the resource type, as in `kubectl get eac/wind-farm`; in lower case. */
const typeNames: ReadonlySet<string> = new Set(
  [kind.toLowerCase(), plural]
    .flatMap((name) => [name, `${name}.${group}`, `${name}.${version}.${group}`])
    .concat('eac'),
)

/**
 * Parses `NAME`, `NAMESPACE/NAME` or, as kubectl takes it, `TYPE/NAME`.
 *
 * @param flag the value of `--namespace`
 * @throws UsageError
 */
export function parseResourceName(text: string, flag?: string): ResourceName {
  const namespaceFlag = flag === undefined ? undefined : parseNamespace(flag)
  // Not quoted: a URL may hold a password.
  if (text.includes('://')) throw new UsageError('expected the name of an EnosAppCredential, not a URL')
  const { name, namespace } = splitName(text)
  if ((namespace !== undefined && !label.test(namespace)) || !dnsName.test(name)) {
    const isUpperCase = text !== text.toLowerCase()
    throw new UsageError(
      `${JSON.stringify(text.slice(0, 80))} is not the name of an EnosAppCredential: ${isUpperCase ? 'names are lower-case; ' : ''}expected NAME, NAMESPACE/NAME or ${kind.toLowerCase()}/NAME`,
    )
  }
  if (namespaceFlag !== undefined && namespace !== undefined && namespaceFlag !== namespace) {
    throw new UsageError(`--namespace ${namespaceFlag} contradicts ${namespace}/${name}`)
  }
  return { namespace: namespace ?? namespaceFlag, name }
}

/** Not checked; with more than one slash the name has one, which no name may. */
function splitName(text: string): ResourceName {
  const at = text.indexOf('/')
  const [prefix, name] = [text.slice(0, Math.max(0, at)), text.slice(at + 1)]
  return { namespace: at < 0 || typeNames.has(prefix.toLowerCase()) ? undefined : prefix, name }
}

/** Types that kubectl takes before a slash; here it is a namespace, unless the type is that of EnosAppCredentials. */
const otherTypes: ReadonlySet<string> = new Set(
  'deployment deployments deploy pod pods po secret secrets statefulset statefulsets sts daemonset daemonsets ds service services svc configmap configmaps cm job jobs cronjob cronjobs cj replicaset replicasets rs namespace namespaces ns'.split(
    ' ',
  ),
)

/** That the resource does not exist; where its namespace looks like a type, that the commands know one type only. */
export function notFoundText({ name, namespace }: ObjectRef): string {
  const hint = otherTypes.has(namespace)
    ? `: ${namespace} was taken as the namespace, only EnosAppCredentials can be named`
    : ''
  return `EnosAppCredential ${namespace}/${name} not found${hint}`
}

/** @throws UsageError */
export function parseNamespace(text: string): string {
  if (label.test(text)) return text
  throw new UsageError(
    `--namespace: seen ${JSON.stringify(text.slice(0, 80))}, expected a name of at most 63 lower-case letters, digits and -`,
  )
}

/** @param current the namespace if none was given */
export function inNamespace({ namespace, name }: ResourceName, current: string): ObjectRef {
  return { namespace: namespace ?? current, name }
}
