import type { Logger } from 'pino'

/** Structured log: `log.info({ namespace, name }, 'constant message')`. Variable parts are fields, never in the message. */
export type Log = Pick<Logger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'child'>
