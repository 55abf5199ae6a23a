/** Names in one message at most. */
const maxNames = 5

/** Names for a message: `a, b`, or the first five `and 3 more`. */
export function joinNames(names: readonly string[]): string {
  const shown = names.slice(0, maxNames).join(', ')
  return names.length > maxNames ? `${shown} and ${names.length - maxNames} more` : shown
}
