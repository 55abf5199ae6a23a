import type { Problem } from '../api/v1alpha1/problem.ts'
import { joinNames } from '../lib/join-names.ts'
import { isOfOther, ownerProblem } from './adoption.ts'
import { keyConflict } from './key-conflict.ts'
import type { Observed, TargetSpec } from './observed.ts'
import { isOfAnotherCredential } from './ownership.ts'

/** One problem that names all targets with problems of one kind: of those that the user must solve, else of the first. */
export function joinTargetProblems(problems: ReadonlyMap<string, Problem>): Problem | undefined {
  const all = [...problems.values()]
  const first = all.find((problem) => problem.class === 'userMustAct') ?? all[0]
  if (first === undefined) return undefined
  const ofKind = [...problems].filter(([, { class: one, reason }]) => one === first.class && reason === first.reason)
  if (ofKind.length === 1) return first
  const groups = Map.groupBy(ofKind, ([, { message, ofMany }]) => ofMany ?? message)
  const sentences = [...groups.values()].map((group) => {
    const [[, { message, ofMany = '' }] = ['', first]] = group
    const names = group.map(([name]) => name)
    return names.length > 1 ? `Secrets ${joinNames(names)} ${ofMany}` : message.replace(/^spec\.targets: /, '')
  })
  return { ...first, message: `spec.targets: ${joinNames(sentences, '; ')}` }
}

/** Why a target cannot be written, with any token. */
export function targetProblem(observed: Observed, target: TargetSpec): Problem | undefined {
  const failed = observed.targetProblems.get(target.name)
  if (failed !== undefined) return failed
  return target.creationPolicy === 'Merge' ? mergeProblem(observed, target) : ownerProblem(observed, target)
}

function mergeProblem(observed: Observed, target: TargetSpec): Problem | undefined {
  const { name } = target
  const meta = observed.targetMetas.get(name)
  if (meta === undefined || meta.isDeleting) {
    return {
      class: 'waiting',
      reason: 'TargetMissing',
      message: `spec.targets: Secret ${name} (creationPolicy Merge) does not exist; create it, and the operator adds its keys`,
      ofMany: '(creationPolicy Merge) do not exist; create them, and the operator adds their keys',
    }
  }
  if (isOfAnotherCredential(observed, meta)) {
    return isOfOther(name, observed.nameOf(meta.controllerUid ?? meta.retainedFor?.uid ?? ''))
  }
  const content = observed.targetContents.get(name)
  if (content === undefined) return undefined
  if (content.immutable === true) {
    return {
      class: 'userMustAct',
      reason: 'TargetWriteFailed',
      message: `spec.targets: Secret ${name} (creationPolicy Merge) is immutable; name a Secret that is not`,
    }
  }
  return keyConflict(observed, name, content)
}
