import { isHandedByAnnotation } from '../observe/adoption.ts'
import type { Observed, TargetSpec } from '../observe/observed.ts'
import type { DesiredSecret } from '../targets/desired-secret.ts'
import type { Secret } from '../targets/secret.ts'

/** Names in one event at most. */
const maxKeys = 5

/** The event of a write that takes over a Secret, or keys of one, that was handed over. */
export function adopting(
  observed: Observed,
  target: TargetSpec,
  content: Secret,
  desired: DesiredSecret,
): { readonly adopts?: string } {
  const { credential, record, targetMetas } = observed
  const { name } = target
  const meta = targetMetas.get(name)
  if (meta === undefined || record.get(name)?.uid === meta.uid) return {}
  const present = Object.keys(content.data ?? {})
  if (target.creationPolicy === 'Merge') {
    const taken = present.filter((key) => Object.hasOwn(desired.data, key))
    return isHandedByAnnotation(observed, meta) && taken.length > 0
      ? { adopts: `Secret ${name}: took over ${someOf(taken)}` }
      : {}
  }
  if (meta.controllerUid === credential.uid || meta.retainedFor?.uid === credential.uid) return {}
  const removed = present.filter((key) => !Object.hasOwn(desired.data, key))
  return { adopts: `Secret ${name} adopted; ${removed.length === 0 ? 'no keys' : someOf(removed)} removed` }
}

function someOf(keys: readonly string[]): string {
  const more = keys.length > maxKeys ? ` and ${keys.length - maxKeys} more` : ''
  return `${keys.slice(0, maxKeys).join(', ')}${more}`
}
