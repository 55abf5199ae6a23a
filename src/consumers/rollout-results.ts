import type { PartResult, PropagationJob, Task } from './propagation-job.ts'
import { workloadNames, type WorkloadState } from './workload-plan.ts'

/** Pauses between the checks of a rollout after a restart, ms: nine minutes in all. */
const checkDelaysMs = [1000, 2000, 5000, 10_000, 30_000, 60_000, 2 * 60_000, 5 * 60_000] as const
/** A controller acts within milliseconds; one that has not acted is reported after this many checks, 18 s. */
const minChecksUnobserved = 4

/** What a task's workloads came to. `isSettled`: nothing more can change before the next token. */
interface Judgement {
  readonly note?: string
  readonly reason: 'Propagated' | 'ConsumersNeedRestart' | 'WorkloadNotFound'
  readonly isSettled: boolean
}

/** The result of a round, and when the next is due. */
export interface WorkloadsResult {
  readonly notes: readonly string[]
  /** Undefined right after a restart: the first check shows whether another controller takes it back. */
  readonly result: PartResult | undefined
  /** Until the next check; undefined when none is needed. `absent`: with the backoff for what a user must mend. */
  readonly nextLook: { readonly delayMs: number } | 'absent' | undefined
}

export function workloadsResult({ job, spec }: Task, states: ReadonlyMap<string, WorkloadState>): WorkloadsResult {
  const names = workloadNames(spec).filter((name) => states.has(name))
  const delayMs = checkDelaysMs[job.checks]
  const judged = names.map((name) => {
    const state = states.get(name) ?? 'untouched'
    const { note, ...rest } = judge(state, job, job.restarted.has(name))
    return { ...rest, note: note === undefined ? undefined : `${name} ${note}` }
  })
  const worst =
    judged.find(({ reason }) => reason === 'WorkloadNotFound') ??
    judged.find(({ reason }) => reason === 'ConsumersNeedRestart')
  const reason = worst?.reason ?? 'Propagated'
  const notes = judged.flatMap(({ note }) => note ?? [])
  const result: PartResult = { status: reason === 'WorkloadNotFound' ? 'False' : 'True', reason, notes }
  const isOpen = judged.some(({ isSettled }) => !isSettled)
  const nextLook = isOpen && delayMs !== undefined ? { delayMs } : reason === 'WorkloadNotFound' ? 'absent' : undefined
  const hasJustRestarted = names.some((name) => states.get(name) === 'restarted')
  return { notes, result: hasJustRestarted ? undefined : result, nextLook }
}

function judge(state: WorkloadState, { checks }: PropagationJob, isOwn: boolean): Judgement {
  const restarted = isOwn ? 'was restarted' : 'was restarted since the token was written'
  const needsRestart = (note: string): Judgement => ({ note, reason: 'ConsumersNeedRestart', isSettled: false })
  switch (state) {
    case 'untouched':
      return { reason: 'Propagated', isSettled: true }
    case 'restarted':
      return { note: 'was restarted', reason: 'Propagated', isSettled: false }
    case 'complete':
      return { note: restarted, reason: 'Propagated', isSettled: true }
    case 'underWay':
      return checks >= checkDelaysMs.length
        ? needsRestart('was restarted, but after nine minutes some of its pods are not replaced yet')
        : { note: restarted, reason: 'Propagated', isSettled: false }
    case 'unobserved':
      return checks >= minChecksUnobserved
        ? needsRestart('was restarted, but its controller has not acted on that')
        : { note: restarted, reason: 'Propagated', isSettled: false }
    case 'stalled':
      return needsRestart('was restarted, but its rollout exceeded the progress deadline')
    case 'reset':
      return {
        ...needsRestart('was not restarted: another controller took the restart off its pod template'),
        isSettled: true,
      }
    case 'isPaused':
      return needsRestart('is paused and was not restarted')
    case 'onDelete':
      return needsRestart('has updateStrategy OnDelete: its pods hold the old token until they are deleted')
    case 'partitioned':
      return needsRestart('has a rollingUpdate.partition: its pods below that ordinal hold the old token')
    case 'isAbsent':
      return { note: 'does not exist', reason: 'WorkloadNotFound', isSettled: true }
  }
}
