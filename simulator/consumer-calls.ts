/** How a consumer showed its token. */
export type Verification = 'signature' | 'token' | 'bearer'

export interface Refusal {
  /** In ms on the monotonic clock. */
  readonly atMs: number
  readonly method: string
  /** Without the query, cut at 200 characters. */
  readonly path: string
  /** In words, without secrets. */
  readonly problem: string
}

const maxRefusals = 1000
const maxPathLength = 200

/** Counts the calls of consumers to APIs. */
export class ConsumerCalls {
  readonly #accepted = { signature: 0, token: 0, bearer: 0 }
  /** The last `maxRefusals`. */
  readonly #refusals: Refusal[] = []
  #refused = 0

  addAccepted(verification: Verification): void {
    this.#accepted[verification]++
  }

  addRefused(refusal: Refusal): void {
    this.#refused++
    this.#refusals.push({ ...refusal, path: refusal.path.slice(0, maxPathLength) })
    if (this.#refusals.length > maxRefusals) {
      this.#refusals.shift()
    }
  }

  get accepted(): Readonly<Record<Verification, number>> {
    return { ...this.#accepted }
  }

  get refused(): number {
    return this.#refused
  }

  /** The last 1,000 refusals, oldest first; a copy. */
  get refusals(): readonly Refusal[] {
    return [...this.#refusals]
  }
}
