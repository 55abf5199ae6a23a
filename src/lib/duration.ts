const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
const shape = /^(?:[0-9]+(?:ms|s|m|h))+$/

/**
 * Parses a duration like `10s`, `1h30m` or `250ms`.
 *
 * @returns milliseconds
 * @throws RangeError that quotes the text and names the expected form
 */
export function parseDuration(text: string): number {
  if (!shape.test(text)) {
    throw new RangeError(
      `not a duration: seen ${JSON.stringify(text.slice(0, 40))}, expected one like 10s, 5m or 1h30m`,
    )
  }
  let totalMs = 0
  for (const part of text.match(/[0-9]+[a-z]+/g) ?? []) {
    const [count = ''] = /^[0-9]+/.exec(part) ?? []
    totalMs += Number(count) * (unitMs[part.slice(count.length)] ?? 0)
  }
  return totalMs
}

/** Formats a duration by its two largest units: `1h59m`, `24m10s`, `25s`, `0s`, and `-5s` for a time in the past. */
export function formatDuration(ms: number): string {
  if (ms < 0) return ms > -500 ? '0s' : `-${formatDuration(-ms)}`
  const seconds = Math.round(ms / 1000)
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const
  const first = parts.findIndex(([count]) => count > 0)
  if (first < 0) return '0s'
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join('')
}
