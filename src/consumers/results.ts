import { describeDenial } from '../kubernetes/admission-denial.ts'
import { ApiError, isForbidden } from '../kubernetes/errors.ts'
import { joinNames } from '../lib/join-names.ts'
import type { PodTask } from './pod-plan.ts'
import { noWork, type Part, type PartResult, type Task } from './propagation-job.ts'

/** The result for the pods of a task, those in `failures` apart. */
export function podsResult({ failures, job, mounting, unreachable }: PodTask): PartResult {
  const count = mounting - failures.size
  const notes: string[] = []
  if (job.occasion === 'renewal') {
    const pods = count === 1 ? 'pod that mounts' : 'pods that mount'
    notes.push(`the present token was propagated to ${count} ${pods} a target`)
  } else if (job.occasion === 'firstToken' && count > 0) {
    notes.push(`the first token was propagated to ${count} ${count === 1 ? 'pod' : 'pods'} created before it`)
  }
  if (unreachable.size === 0) return { ...noWork, notes }
  notes.push(
    `${joinNames([...unreachable].sort())} read the token from environment or subPath, or copied it in an init container, and do not see it until they are restarted: name the workload in spec.restartOnRenewal`,
  )
  return { status: 'True', reason: 'ConsumersNeedRestart', notes }
}

/**
 * The result for a task with failed calls: refused only if every one was refused.
 *
 * @param notes of the calls that worked
 */
export function failureResult(part: Part, { failures, job }: Task, notes: readonly string[]): PartResult {
  const errors = [...failures.values()]
  const isRefused = errors.every((error) => isRefusal(error))
  if (!isRefused) return failedResult(joinNames(errors.map(({ message }) => message)))
  const verbs = part === 'pods' ? 'patch' : 'get and patch'
  return refusedResult([...notes, ...refusalNotes(verbs, failures, job.namespace)])
}

/** The result for a whole namespace whose pods could not be listed. */
export function namespaceResult(namespace: string, error: unknown): PartResult {
  if (!isRefusal(error)) return failedResult(detailOf(error))
  return refusedResult(refusalNotes('list and patch', new Map([['Pods', error]]), namespace))
}

/** Whether a repetition can only succeed once a person changes a permission or a policy. */
export function isRefusal(error: unknown): error is ApiError {
  return isForbidden(error) || (error instanceof ApiError && error.admissionDenial?.verdict === 'denied')
}

/** For logs and conditions: the message of an ApiError, which quotes no object; of other errors nothing. */
export function detailOf(error: unknown): string {
  return error instanceof ApiError ? error.message : 'unexpected error'
}

/** A note for each cause, with the names of the objects. */
function refusalNotes(verbs: string, failures: ReadonlyMap<string, ApiError>, namespace: string): string[] {
  const causes = new Map<string, { error: ApiError; names: string[] }>()
  for (const [name, error] of failures) {
    const cause = error.admissionDenial?.name ?? String(error.isPermissionMissing)
    const { names } = causes.get(cause) ?? { names: [] }
    causes.set(cause, { error, names: [...names, name] })
  }
  return [...causes.values()].map(({ error, names }) => {
    const request = `${verbs} ${joinNames(names)} in namespace ${namespace}`
    const { admissionDenial, code, isPermissionMissing } = error
    if (admissionDenial !== undefined) return `${describeDenial(admissionDenial)} to ${request} (HTTP ${code})`
    if (isPermissionMissing) {
      return `the operator lacks the permission to ${request} (HTTP ${code}): install the component deploy/components/consumers (for one namespace: deploy/components/consumers/namespaced); it is tried again within 5 minutes`
    }
    return `the API server refuses to let the operator ${request} (HTTP ${code}): look at admission plugins, quotas and proxies`
  })
}

function failedResult(note: string): PartResult {
  return { status: 'False', reason: 'PropagationFailed', notes: [note] }
}

function refusedResult(notes: readonly string[]): PartResult {
  return { status: 'False', reason: 'PropagationForbidden', notes }
}
