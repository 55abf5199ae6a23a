import type { Logger } from 'pino'

/** Structured log: `log.info({ namespace, name }, 'constant message')`. Variable parts are fields, never part of the message. */
export type Log = Pick<Logger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'child'>

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const
export const logFormats = ['json', 'pretty'] as const

export type LogLevel = (typeof logLevels)[number]
export type LogFormat = (typeof logFormats)[number]
