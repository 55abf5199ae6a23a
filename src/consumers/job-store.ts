import { type ObjectKey, refOf } from '../kubernetes/types.ts'
import type { PropagationJob } from './propagation-job.ts'

/**
 * The last job of each credential, by namespace. Bounded by the number of credentials: a new job replaces the one before,
 * `remove` is called when a credential goes, and a namespace goes with its last job.
 */
export class JobStore {
  readonly #namespaces = new Map<string, Map<ObjectKey, PropagationJob>>()

  get(key: ObjectKey): PropagationJob | undefined {
    return this.#namespaces.get(refOf(key).namespace)?.get(key)
  }

  set(job: PropagationJob): void {
    const jobs = this.#namespaces.get(job.namespace) ?? new Map<ObjectKey, PropagationJob>()
    this.#namespaces.set(job.namespace, jobs.set(job.key, job))
  }

  remove(key: ObjectKey): void {
    const { namespace } = refOf(key)
    const jobs = this.#namespaces.get(namespace)
    jobs?.delete(key)
    if (jobs?.size === 0) this.#namespaces.delete(namespace)
  }

  inNamespace(namespace: string): PropagationJob[] {
    return [...(this.#namespaces.get(namespace)?.values() ?? [])]
  }

  /** Number of jobs and namespaces that are kept. */
  sizes(): { readonly jobs: number; readonly namespaces: number } {
    const jobs = [...this.#namespaces.values()].reduce((sum, { size }) => sum + size, 0)
    return { jobs, namespaces: this.#namespaces.size }
  }
}
