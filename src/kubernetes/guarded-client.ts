import { ApiError } from './errors.ts'
import type { KubernetesClient, KubernetesObject, ObjectRef, ResourceType } from './types.ts'

/**
 * Wraps a client so that its writes are refused while `isAllowed` is false: they reject with ApiError, code 0 and reason
 * `NotLeading`, and nothing is sent. Reads pass.
 */
export function guardWrites(client: KubernetesClient, isAllowed: () => boolean): KubernetesClient {
  const guard = async <T>(verb: string, type: ResourceType, ref: Partial<ObjectRef>, write: () => Promise<T>) => {
    if (isAllowed()) return await write()
    const object = [ref.namespace, ref.name].filter((part) => part !== undefined).join('/')
    throw new ApiError(`${verb} ${type.plural} ${object}`, { code: 0, reason: 'NotLeading' })
  }
  return {
    get: (type, ref, options) => client.get(type, ref, options),
    list: (type, namespace, options) => client.list(type, namespace, options),
    watch: (type, namespace, options) => client.watch(type, namespace, options),
    create: <T extends KubernetesObject>(...call: Parameters<KubernetesClient['create']>) =>
      guard('create', call[0], { namespace: call[1] }, () => client.create<T>(...call)),
    patch: <T extends KubernetesObject>(...call: Parameters<KubernetesClient['patch']>) =>
      guard('patch', call[0], call[1], () => client.patch<T>(...call)),
    update: <T extends KubernetesObject>(...call: Parameters<KubernetesClient['update']>) =>
      guard('update', call[0], call[1], () => client.update<T>(...call)),
    delete: (...call) => guard('delete', call[0], call[1], () => client.delete(...call)),
  }
}
