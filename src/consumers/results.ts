import { ApiError, isForbidden } from '../kubernetes/errors.ts'
import { noWork, type Part, type PartResult, type Task } from './propagation-job.ts'
import type { PodTask } from './pod-plan.ts'
import { workloadNames } from './workload-plan.ts'
import type { RestartOutcome } from './workload-client.ts'

/** More names than these are counted only. */
const maxNames = 5

const restartNotes: Readonly<Record<RestartOutcome, string>> = {
  restarted: 'was restarted',
  isFresh: 'was restarted since the token was written',
  isPaused: 'is paused and was not restarted',
  isAbsent: 'does not exist',
}

/** The result for the pods of a task that had no failures but those in `failures`. */
export function podsResult({ failures, mounting, unreachable }: PodTask): PartResult {
  const count = mounting - failures.size
  const propagated = `the present token was propagated to ${count} ${count === 1 ? 'pod that mounts' : 'pods that mount'} a target`
  if (unreachable.size === 0) return { ...noWork, notes: [propagated] }
  const needRestart = `${joinNames([...unreachable].sort())} read the token from environment or subPath and do not see it until they are restarted: name the workload in spec.restartOnRenewal`
  return { status: 'True', reason: 'ConsumersNeedRestart', notes: [propagated, needRestart] }
}

/** The result for the workloads of a task, by the outcome of each. */
export function workloadsResult({ spec }: Task, outcomes: ReadonlyMap<string, RestartOutcome>): PartResult {
  const notes = workloadNames(spec).flatMap((name) => {
    const outcome = outcomes.get(name)
    return outcome === undefined ? [] : [`${name} ${restartNotes[outcome]}`]
  })
  return { ...noWork, notes }
}

/** The result for a task with failed calls: refused only if every one was refused. */
export function failureResult(part: Part, { failures, job }: Task, done: PartResult): PartResult {
  const errors = [...failures.values()]
  if (!errors.every(isForbidden)) return failedResult(joinNames(errors.map(({ message }) => message)))
  const verbs = part === 'pods' ? 'patch' : 'get and patch'
  const { notes } = refusedResult(`${verbs} ${joinNames([...failures.keys()])}`, job.namespace)
  return { status: 'False', reason: 'PropagationForbidden', notes: [...done.notes, ...notes] }
}

/** The result for a whole namespace, where nothing could be done. */
export function namespaceResult(namespace: string, error: unknown): PartResult {
  return isForbidden(error) ? refusedResult('list and patch Pods', namespace) : failedResult(detailOf(error))
}

/** For logs and conditions: of an ApiError its message, which quotes no object; of others nothing. */
export function detailOf(error: unknown): string {
  return error instanceof ApiError ? error.message : 'unexpected error'
}

function failedResult(note: string): PartResult {
  return { status: 'False', reason: 'PropagationFailed', notes: [note] }
}

function refusedResult(request: string, namespace: string): PartResult {
  const note = `the API server refuses to let the operator ${request} in namespace ${namespace} (HTTP 403): install the component deploy/components/consumers (for one namespace: deploy/components/consumers/namespaced), or look at admission webhooks`
  return { status: 'False', reason: 'PropagationForbidden', notes: [note] }
}

function joinNames(names: readonly string[]): string {
  const shown = names.slice(0, maxNames).join(', ')
  return names.length > maxNames ? `${shown} and ${names.length - maxNames} more` : shown
}
