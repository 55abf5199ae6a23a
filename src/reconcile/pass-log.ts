import type { ObjectKey } from '../kubernetes/types.ts'
import type { Log } from '../lib/log.ts'
import type { Pass } from '../observe/pass.ts'
import type { Plan } from '../plan/actions.ts'

/**
 * One line for each pass that did something: which action, on which target, why, and what became of a write. At level
 * info where a target was written, else debug.
 */
export function logPass(log: Log, { credential, executed }: Pass): void {
  if (executed.length === 0) return
  const isWrite = executed.some(({ result, target }) => target !== undefined && result !== undefined)
  log[isWrite ? 'info' : 'debug']({ credential: credential.key, actions: executed }, 'reconciled')
}

/** One line at level debug for each decision of a pass: the check that decided, and what is executed. None: the pass ends. */
export function logDecision(log: Log, credential: ObjectKey, { actions, check, reason }: Plan): void {
  const named = actions.map((action) => action.do)
  log.debug({ credential, check, reason, actions: named }, named.length === 0 ? 'pass ended' : 'decided')
}
