import { annotations } from '../api/v1alpha1/names.ts'
import { isConflict, isNotFound } from '../kubernetes/errors.ts'
import { type KubernetesClient, pods } from '../kubernetes/types.ts'
import { type Pod, type PodVersion, podVersionOf } from './pods.ts'

/** Every running pod of a namespace, page by page. */
export async function* runningPods(
  client: Pick<KubernetesClient, 'list'>,
  namespace: string,
  signal: AbortSignal,
): AsyncGenerator<Pod> {
  let next: string | undefined
  do {
    const page = await client.list<Pod>(pods, namespace, {
      limit: 500,
      fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed',
      signal,
      ...(next === undefined ? {} : { continue: next }),
    })
    yield* page.items
    next = page.metadata.continue === '' ? undefined : page.metadata.continue
  } while (next !== undefined)
}

/** A pod's status changes often while it starts; more conflicts than these in a row are left to the queue's backoff. */
const maxTries = 5

/**
 * Propagates a token to a pod by an annotation: its kubelet then syncs the mounted Secret at once. The patch is for the
 * version that was read; a pod that another token was propagated to meanwhile, or another pod of that name, has seen what
 * is on the targets.
 *
 * @returns false where there was nothing left to do
 */
export async function annotatePod(
  client: Pick<KubernetesClient, 'list' | 'patch'>,
  { name, namespace, ...read }: PodVersion,
  fingerprint: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { uid } = read
  let { resourceVersion } = read
  for (let tries = 1; ; tries++) {
    const body = { metadata: { uid, resourceVersion, annotations: { [annotations.tokenFingerprint]: fingerprint } } }
    try {
      await client.patch(pods, { namespace, name }, { type: 'merge', body }, { signal })
      return true
    } catch (error) {
      if (isNotFound(error)) return false
      if (!isConflict(error) || tries === maxTries) throw error
    }
    // The operator may list pods, and not get them.
    const { items } = await client.list<Pod>(pods, namespace, { fieldSelector: `metadata.name=${name}`, signal })
    const [present] = items
    if (present === undefined || present.metadata.deletionTimestamp !== undefined) return false
    const version = podVersionOf(present)
    if (version.uid !== uid || version.fingerprint !== read.fingerprint) return false
    resourceVersion = version.resourceVersion
  }
}
