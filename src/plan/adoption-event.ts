import { joinNames } from '../lib/join-names.ts'
import { isHandedByAnnotation } from '../observe/adoption.ts'
import type { Observed, TargetSpec } from '../observe/observed.ts'
import type { DesiredSecret } from '../targets/desired-secret.ts'
import type { Secret } from '../targets/secret.ts'

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
      ? { adopts: `Secret ${name}: took over ${joinNames(taken)}` }
      : {}
  }
  if (meta.controllerUid === credential.uid || meta.retainedFor?.uid === credential.uid) return {}
  const removed = present.filter((key) => !Object.hasOwn(desired.data, key))
  return { adopts: `Secret ${name} adopted; ${removed.length === 0 ? 'no keys' : joinNames(removed)} removed` }
}
