/** The command failed; the message is for the user. Exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** An argument is invalid or missing; the message says what is expected. Exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
