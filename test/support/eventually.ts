import { setTimeout as delay } from 'node:timers/promises'

/** Retries until the attempt succeeds. @throws the last error after `withinMs` */
export async function eventually<T>(attempt: () => Promise<T> | T, withinMs = 10_000, everyMs = 25): Promise<T> {
  const until = performance.now() + withinMs
  while (true) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > until) throw error
      await delay(everyMs)
    }
  }
}
