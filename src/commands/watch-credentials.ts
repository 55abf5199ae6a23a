import { ApiError } from '../kubernetes/errors.ts'
import { credentials, keyOf, type KubernetesClient, type ObjectKey } from '../kubernetes/types.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import type { CredentialObject } from './status-problems.ts'

export interface WatchedCredentials {
  /** Bounded by the API server: the resources of the watched namespaces. */
  readonly objects: ReadonlyMap<ObjectKey, CredentialObject>
  /** Why they may be out of date; undefined: they are not. */
  readonly failure: ApiError | undefined
}

export interface WatchCredentialsOptions {
  readonly client: Pick<KubernetesClient, 'watch'>
  /** @returns all resources, and the version from which a watch goes on */
  readonly list: () => Promise<{ objects: readonly CredentialObject[]; resourceVersion: string }>
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly onChange: (watched: WatchedCredentials) => void
}

/** As kubectl's watches. */
const timeoutSeconds = 300
/** Between the end of a watch and the next list. */
const retryMs = 2000

/**
 * Lists the resources and follows their changes until the signal aborts.
 *
 * @throws ApiError of the first list; later failures are passed on, and tried again
 */
export async function watchCredentials(options: WatchCredentialsOptions): Promise<void> {
  const { clock, list, onChange, signal } = options
  const isStopped = (): boolean => signal.aborted
  let isFirst = true
  let objects = new Map<ObjectKey, CredentialObject>()
  while (!isStopped()) {
    try {
      const listed = await list()
      objects = new Map(listed.objects.map((object) => [keyOfObject(object), object]))
      isFirst = false
      onChange({ objects, failure: undefined })
      await follow(options, objects, listed.resourceVersion)
    } catch (error) {
      if (isStopped()) return
      if (isFirst || !(error instanceof ApiError)) throw error
      onChange({ objects, failure: error })
    }
    await sleep(clock, retryMs, signal).catch(() => undefined)
  }
}

async function follow(
  { client, namespace, onChange, signal }: WatchCredentialsOptions,
  objects: Map<ObjectKey, CredentialObject>,
  resourceVersion: string,
): Promise<void> {
  const events = client.watch<CredentialObject>(credentials, namespace, { resourceVersion, timeoutSeconds, signal })
  for await (const { object, type } of events) {
    if (type === 'BOOKMARK') continue
    if (type === 'DELETED') objects.delete(keyOfObject(object))
    else objects.set(keyOfObject(object), object)
    onChange({ objects, failure: undefined })
  }
}

function keyOfObject({ metadata: { name = '', namespace = '' } }: CredentialObject): ObjectKey {
  return keyOf({ namespace, name })
}
