import type { Incident } from './scenario.ts'

/** The last `limit` items and the number of all. */
export class History<T> {
  readonly #limit: number
  #items: T[] = []
  #total = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  add(item: T): void {
    this.#total++
    this.#items = [...this.#items, item].slice(-this.#limit)
  }

  get items(): readonly T[] {
    return this.#items
  }

  get total(): number {
    return this.#total
  }
}

/** At most `limit` incidents: repaired ones are left out before those that fail the demo. */
export class IncidentHistory {
  readonly #limit: number
  readonly #incidents: Incident[] = []
  #omitted = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  add(incident: Incident): void {
    this.#incidents.push(incident)
    if (this.#incidents.length <= this.#limit) return
    this.#incidents.splice(Math.max(0, this.#incidents.findIndex(isRepaired)), 1)
    this.#omitted++
  }

  get incidents(): readonly Incident[] {
    return this.#incidents
  }

  /** Number of incidents that were left out. */
  get omitted(): number {
    return this.#omitted
  }
}

function isRepaired(incident: Incident): boolean {
  return (incident.kind === 'outage' ? incident.recoveredAfterMs : incident.repairedAfterMs) !== undefined
}
