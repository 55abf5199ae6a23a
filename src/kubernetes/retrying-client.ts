import { type Clock, sleep } from '../lib/clock.ts'
import { ApiError } from './errors.ts'
import type { CallOptions, KubernetesClient, KubernetesObject } from './types.ts'

/** That of client-go: https://github.com/kubernetes/client-go/blob/v0.36.0/rest/request.go */
const maxRetries = 10
/** The API server asks for a second. After a longer wait, a user rather starts the command again. */
const maxWaitMs = 30_000

/**
 * Wraps a client for commands and tests, which have no queue that retries: a call that the API server refuses with
 * Retry-After (429 or 5xx: it is overloaded, or begins to serve a new kind) is sent again after that time, at most 10
 * times, and not where it asks for more than 30 s. Watches pass.
 *
 * @throws ApiError of the last answer; the signal's reason when it aborts in a wait
 */
export function retryRefusedCalls(client: KubernetesClient, clock: Clock): KubernetesClient {
  const retry = async <T>(call: () => Promise<T>, { signal }: CallOptions = {}): Promise<T> => {
    for (let retries = 0; ; retries++) {
      try {
        return await call()
      } catch (error) {
        const waitMs = error instanceof ApiError ? (error.retryAfterMs ?? Infinity) : Infinity
        if (waitMs > maxWaitMs || retries === maxRetries) throw error
        await sleep(clock, waitMs, signal)
      }
    }
  }
  return {
    watch: (type, namespace, options) => client.watch(type, namespace, options),
    get: <T extends KubernetesObject>(...call: Parameters<KubernetesClient['get']>) =>
      retry(() => client.get<T>(...call), call[2]),
    list: <T extends KubernetesObject>(...call: Parameters<KubernetesClient['list']>) =>
      retry(() => client.list<T>(...call), call[2]),
    create: <T extends KubernetesObject>(...call: Parameters<KubernetesClient['create']>) =>
      retry(() => client.create<T>(...call), call[3]),
    patch: <T extends KubernetesObject>(...call: Parameters<KubernetesClient['patch']>) =>
      retry(() => client.patch<T>(...call), call[3]),
    update: <T extends KubernetesObject>(...call: Parameters<KubernetesClient['update']>) =>
      retry(() => client.update<T>(...call), call[3]),
    delete: (...call) => retry(() => client.delete(...call), call[2]),
  }
}
