/** A line of the table. */
export interface Row {
  readonly measure: string
  readonly reach: string
  readonly seen: string
  readonly isReached: boolean
}

interface Bound {
  readonly measure: string
  readonly seen: number
  readonly format: (value: number) => string
}

/** At most `max`. */
export function atMost(max: number, { format, measure, seen }: Bound): Row {
  return { measure, reach: `≤ ${format(max)}`, seen: format(seen), isReached: seen <= max }
}

/** At most `factor` times the floor. */
export function atMostTimes(factor: number, floor: number, { format, measure, seen }: Bound): Row {
  return {
    measure,
    reach: `≤ ${factor} × floor`,
    seen: `${format(seen)} (floor ${format(floor)}: ${(seen / floor).toFixed(2)} ×)`,
    isReached: seen <= factor * floor,
  }
}

/** At least `factor` times the floor. */
export function atLeastTimes(factor: number, floor: number, { format, measure, seen }: Bound): Row {
  return {
    measure,
    reach: `≥ ${factor} × floor`,
    seen: `${format(seen)} (floor ${format(floor)}: ${(seen / floor).toFixed(2)} ×)`,
    isReached: seen >= factor * floor,
  }
}

export const perSecond = (value: number): string => `${Math.round(value)}/s`
export const milliseconds = (value: number): string =>
  value < 10 ? `${value.toFixed(2)} ms` : `${Math.round(value)} ms`
export const seconds = (value: number): string => `${value.toFixed(1)} s`
export const mebibytes = (value: number): string => `${Math.round(value)} MiB`
export const count = (value: number): string => `${Number(value.toFixed(2))}`

/** @param share 0.5 for the median */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** The lines as Markdown. */
export function table(rows: readonly Row[]): string {
  return [
    '| measure | reach | seen | |',
    '| --- | --- | --- | --- |',
    ...rows.map(({ isReached, measure, reach, seen }) => {
      return `| ${measure} | ${reach} | ${seen} | ${isReached ? 'reached' : '**missed**'} |`
    }),
  ].join('\n')
}
