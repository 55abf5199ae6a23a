import { formatDuration } from '../lib/duration.ts'
import type { CommandContext } from './context.ts'

/** A wait that is shorter says nothing. */
const quietMs = 1000

export const waitingFor = {
  apiServer: 'waiting for the API server',
  operator: 'waiting for the operator to renew',
  gateway: 'waiting for the gateway',
}

/** Says on a terminal what the command waits for, and since when, until `work` ends. */
export async function withProgress<T>(
  { clock, statusLine }: Pick<CommandContext, 'clock' | 'statusLine'>,
  text: string,
  work: () => Promise<T>,
): Promise<T> {
  if (statusLine === undefined) return await work()
  const startedAt = clock.now()
  // Narrowing does not see that the timer changes it.
  const shown = { isShown: false }
  const show = (): void => {
    shown.isShown = true
    statusLine(`${text} (${formatDuration(Math.floor((clock.now() - startedAt) / quietMs) * quietMs)})`)
    timer = clock.setTimer(quietMs, show)
  }
  let timer = clock.setTimer(quietMs, show)
  try {
    return await work()
  } finally {
    timer.cancel()
    if (shown.isShown) statusLine('')
  }
}
