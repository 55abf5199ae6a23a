import type { Readable } from 'node:stream'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { ApiServer } from './api-server.ts'

/** What a command gets from the process. */
export interface CommandContext {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly random: Random
  readonly stdin: Readable
  /** @param kubeconfig the value of --kubeconfig @throws KubeconfigError */
  readonly openApiServer: (kubeconfig: string | undefined) => ApiServer
  /** Writes to standard output. */
  readonly print: (text: string) => void
  /** Sets the exit code; the last call counts. */
  readonly exit: (code: number) => void
  /** Aborts on SIGTERM and SIGINT. */
  readonly signal: AbortSignal
}
