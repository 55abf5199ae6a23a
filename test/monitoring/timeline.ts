/** Times are in seconds since the start of a timeline. */
export type ValueAt = (at: number) => number | undefined
export type Labels = Readonly<Record<string, string>>

export interface InputSeries {
  readonly series: string
  readonly values: string
}

/** Series as a Prometheus would have scraped them, in the notation of `promtool test rules`. */
export class Timeline {
  static readonly stepSeconds = 30
  readonly lengthSeconds: number
  readonly #series = new Map<string, ValueAt>()

  constructor(lengthSeconds: number) {
    this.lengthSeconds = lengthSeconds
  }

  /** Adds a series, or replaces it. */
  set(name: string, labels: Labels, valueAt: ValueAt): void {
    this.#series.set(`${name}{${printLabels(labels)}}`, valueAt)
  }

  inputSeries(): InputSeries[] {
    return [...this.#series].map(([series, valueAt]) => ({ series, values: this.#values(valueAt).join(' ') }))
  }

  /** A series that ends gets a staleness marker, as of a scrape that does not have it any more. */
  #values(valueAt: ValueAt): string[] {
    const values: string[] = []
    let wasPresent = false
    for (let at = 0; at <= this.lengthSeconds; at += Timeline.stepSeconds) {
      const value = valueAt(at)
      values.push(value === undefined ? (wasPresent ? 'stale' : '_') : String(value))
      wasPresent = value !== undefined
    }
    return values
  }
}

export function printLabels(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(',')
}
