import type { ObjectRef } from '../kubernetes/types.ts'
import { UsageError } from './context.ts'

/** A resource as given on the command line. */
export interface ResourceName {
  /** Undefined: the namespace of the kubeconfig context. */
  readonly namespace: string | undefined
  readonly name: string
}

const label = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/
const dnsName = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/

/**
 * Parses `NAMESPACE/NAME` or `NAME`.
 *
 * @param flag the value of `--namespace`
 * @throws UsageError
 */
export function parseResourceName(text: string, flag?: string): ResourceName {
  const namespaceFlag = flag === undefined ? undefined : parseNamespace(flag)
  const [first = '', second, ...rest] = text.split('/')
  const [namespace, name] = second === undefined ? [undefined, first] : [first, second]
  if (rest.length > 0 || (namespace !== undefined && !label.test(namespace)) || !dnsName.test(name)) {
    throw new UsageError(`seen ${JSON.stringify(text.slice(0, 80))}, expected NAME or NAMESPACE/NAME`)
  }
  if (namespaceFlag !== undefined && namespace !== undefined && namespaceFlag !== namespace) {
    throw new UsageError(`--namespace ${namespaceFlag} contradicts ${namespace}/${name}`)
  }
  return { namespace: namespace ?? namespaceFlag, name }
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
