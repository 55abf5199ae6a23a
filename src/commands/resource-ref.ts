import type { ObjectRef } from '../kubernetes/types.ts'
import { UsageError } from './context.ts'

const dnsName = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/

/**
 * The resource that `namespace/name` or `name` names.
 *
 * @param namespace where there is none in the text
 * @throws UsageError
 */
export function parseResourceRef(text: string, namespace: string): ObjectRef {
  const [first = '', second, ...rest] = text.split('/')
  const ref = second === undefined ? { namespace, name: first } : { namespace: first, name: second }
  if (rest.length > 0 || !dnsName.test(ref.namespace) || !dnsName.test(ref.name)) {
    throw new UsageError(`seen ${JSON.stringify(text.slice(0, 80))}, expected a resource as namespace/name or name`)
  }
  return ref
}
