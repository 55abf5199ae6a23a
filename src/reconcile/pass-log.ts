import type { Log } from '../lib/log.ts'
import type { Pass } from '../observe/pass.ts'

/**
 * One line for each pass that did something: which action, on which target, why, and what became of a write. At level
 * info where a target was written, else debug.
 */
export function logPass(log: Log, { credential, executed }: Pass): void {
  if (executed.length === 0) return
  const isWrite = executed.some(({ result, target }) => target !== undefined && result !== undefined)
  log[isWrite ? 'info' : 'debug']({ credential: credential.key, actions: executed }, 'reconciled')
}
