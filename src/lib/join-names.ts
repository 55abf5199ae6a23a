/** Names in one message at most. */
const maxNames = 5

/** Names, or sentences, for a message: `a, b`, or the first five `and 3 more`. */
export function joinNames(names: readonly string[], separator = ', '): string {
  const shown = names.slice(0, maxNames).join(separator)
  return names.length > maxNames ? `${shown} and ${names.length - maxNames} more` : shown
}
