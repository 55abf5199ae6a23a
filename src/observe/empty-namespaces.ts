import { configMaps, type KubernetesClient } from '../kubernetes/types.ts'
import type { Log } from '../lib/log.ts'
import type { Caches } from './caches.ts'

/**
 * Warns of watched namespaces that most likely do not exist: to a list they look as if they were empty, so nothing else
 * tells of a misspelt --namespace. Kubernetes puts a ConfigMap with its CA into every namespace. The namespace itself is
 * not asked for: the operator has no right to read it.
 */
export async function warnOfEmptyNamespaces(
  client: Pick<KubernetesClient, 'list'>,
  { credentials, secrets }: Pick<Caches, 'credentials' | 'secrets'>,
  namespaces: readonly string[],
  log: Log,
): Promise<void> {
  const inUse = new Set([...credentials.values(), ...secrets.values()].map(({ namespace }) => namespace))
  for (const namespace of namespaces.filter((one) => !inUse.has(one))) {
    try {
      const { items } = await client.list(configMaps, namespace, { limit: 1, metadataOnly: true })
      if (items.length === 0) log.warn({ namespace }, 'the namespace has no Secret and no ConfigMap: does it exist?')
    } catch (error) {
      // The watches report what the API server refuses.
      log.debug({ namespace, error }, 'the namespace could not be looked for')
    }
  }
}
