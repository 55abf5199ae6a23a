import { annotations } from '../../../src/api/v1alpha1/names.ts'
import { Consumers } from '../../../src/consumers/consumers.ts'
import { workloadTypes } from '../../../src/consumers/workloads.ts'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import {
  type KubernetesClient,
  type KubernetesObject,
  type ListOptions,
  type ObjectKey,
  type ObjectList,
  pods,
  type ResourceType,
} from '../../../src/kubernetes/types.ts'
import { formatTime } from '../../../src/lib/time.ts'
import type { Propagation, PropagationOccasion } from '../../../src/observe/observed.ts'
import type { StoredCredential } from '../../../src/observe/parse-object.ts'
import { credential, hourMs, now, type SpecInput } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { MemoryApi, type StoredObject } from '../../support/memory-api.ts'
import { readableLog } from '../enos/support.ts'

export const namespace = 'plant-a'
const restartedAt = 'kubectl.kubernetes.io/restartedAt'

export interface PatchCall {
  readonly at: number
  readonly name: string
  readonly metadata: KubernetesObject['metadata']
}

interface PropagateOptions {
  readonly agoMs?: number
  readonly inNamespace?: string
  readonly occasion?: PropagationOccasion
  readonly generation?: number
}

/** Consumers on an API server in memory, with pods and workloads, and another client (`user`) that changes them. */
export class World {
  readonly clock = new FakeClock(now)
  readonly api = new MemoryApi(this.clock, 'enos-credential-operator')
  readonly user = this.api.user('kubectl')
  readonly lists: ListOptions[] = []
  readonly patches: PatchCall[] = []
  readonly changed: ObjectKey[] = []
  /** The resources as the watch has them. */
  readonly credentials = new Map<ObjectKey, StoredCredential>()
  readonly log = readableLog()
  pageSize = Number.POSITIVE_INFINITY
  /** What happens right before a patch reaches the API server. */
  beforePatch: (name: string) => void = () => undefined
  /** The HTTP status that calls of a verb are answered with. */
  readonly broken = new Map<'get' | 'list' | 'patch', number>()
  readonly consumers: Consumers
  /** What the controller of the workloads writes to a Deployment's status; undefined: it is down. */
  deploymentStatus: object | undefined = { replicas: 1, updatedReplicas: 1 }

  constructor() {
    this.api.listen((type, object, isGone) => {
      if (type.plural === 'deployments' && !isGone) this.#observeDeployment(object)
    })
    const client: Pick<KubernetesClient, 'get' | 'list' | 'patch'> = {
      get: async (type, ref) => {
        this.#failIfBroken('get')
        return await this.api.get(type, ref)
      },
      list: async (type, inNamespace, options) => await this.#list(type, inNamespace, options),
      patch: async (type, ref, patch) => {
        const { metadata } = patch.body as KubernetesObject
        this.patches.push({ at: this.clock.now(), name: ref.name, metadata })
        this.#failIfBroken('patch')
        this.beforePatch(ref.name)
        return await this.api.patch(type, ref, patch)
      },
    }
    this.consumers = new Consumers({
      client,
      credentials: this.credentials,
      clock: this.clock,
      random: () => 0.5,
      log: this.log.log,
      onChange: (key) => void this.changed.push(key),
    })
  }

  /** Propagates a token of a credential that was written `agoMs` ago. */
  propagate(
    name: string,
    fingerprint: string,
    spec: SpecInput,
    { agoMs = 0, inNamespace = namespace, occasion = 'renewal', generation = 1 }: PropagateOptions = {},
  ): void {
    const ref = { key: `${inNamespace}/${name}`, namespace: inNamespace, name, uid: `uid-${name}` } as const
    const of = credential({ ...ref, spec, generation })
    this.credentials.set(of.key, of)
    const writtenAtWall = Math.floor((this.clock.wall() - agoMs) / 1000) * 1000
    this.consumers.propagate({ credential: of, fingerprint, occasion, writtenAtWall })
  }

  /** Another client changes a resource whose token is being propagated. */
  edit(name: string, spec: SpecInput, uid = `uid-${name}`): void {
    const of = credential({ key: `${namespace}/${name}`, namespace, name, uid, spec })
    this.credentials.set(of.key, of)
  }

  /** The API server answers each patch of these objects with an HTTP status, until `isOver`. */
  refuse(names: readonly string[], code: number): { isOver: boolean } {
    const refusal = { isOver: false }
    this.beforePatch = (name) => {
      if (!refusal.isOver && names.includes(name)) throw failure('patch', code)
    }
    return refusal
  }

  outcome(name: string): Propagation['outcome'] {
    return this.consumers.propagation(`${namespace}/${name}`)?.outcome
  }

  pod(name: string, spec: object = mounting(), metadata: object = {}, inNamespace = namespace, status = {}): void {
    this.user.create(pods, inNamespace, { metadata: { name, ...metadata }, spec, status })
  }

  /** Fingerprint of the token that was last propagated to a pod. */
  fingerprintOf(name: string): string | undefined {
    return this.api.find(pods, { namespace, name })?.metadata.annotations?.[annotations.tokenFingerprint]
  }

  deployment(name: string, spec: object = {}, createdAgoMs = hourMs): void {
    const creationTimestamp = formatTime(this.clock.wall() - createdAgoMs)
    this.user.create(workloadTypes.Deployment, namespace, { metadata: { name, creationTimestamp }, spec })
  }

  /** The status of a Deployment, as its controller or a person writes it. */
  patchStatus(name: string, status: object): void {
    const patch = { type: 'merge', body: { status } } as const
    void this.api.patch(workloadTypes.Deployment, { namespace, name }, patch, { subresource: 'status' })
  }

  /** As `kubectl rollout restart` does it. */
  restartByHand(name: string): void {
    const template = { metadata: { annotations: { [restartedAt]: formatTime(this.clock.wall()) } } }
    this.user.patch(workloadTypes.Deployment, { namespace, name }, { spec: { template } })
  }

  restartOf(name: string): string | undefined {
    const spec = this.api.find(workloadTypes.Deployment, { namespace, name })?.spec as
      { template?: { metadata: { annotations: Record<string, string> } } } | undefined
    return spec?.template?.metadata.annotations[restartedAt]
  }

  #observeDeployment({ metadata, status }: StoredObject): void {
    const { generation, name = '' } = metadata
    if (this.deploymentStatus === undefined) return
    if ((status as { observedGeneration?: number } | undefined)?.observedGeneration === generation) return
    this.patchStatus(name, { ...this.deploymentStatus, observedGeneration: generation })
  }

  async #list<T extends KubernetesObject>(
    type: ResourceType,
    inNamespace: string | undefined,
    options: ListOptions = {},
  ): Promise<ObjectList<T>> {
    this.lists.push(options)
    this.#failIfBroken('list')
    const { items } = await this.api.list<T>(type, inNamespace)
    const name = /^metadata\.name=(.*)$/.exec(options.fieldSelector ?? '')?.[1]
    const selected = items.filter(({ metadata }) => name === undefined || metadata.name === name)
    const from = Number(options.continue ?? 0)
    const until = from + this.pageSize
    return {
      metadata: { continue: until < selected.length ? String(until) : '' },
      items: selected.slice(from, until),
    }
  }

  #failIfBroken(verb: 'get' | 'list' | 'patch'): void {
    const code = this.broken.get(verb)
    if (code !== undefined) throw failure(verb, code)
  }
}

function failure(verb: string, code: number): ApiError {
  const isPermissionMissing = code === 403
  return new ApiError(verb, { code, reason: isPermissionMissing ? 'Forbidden' : 'InternalError', isPermissionMissing })
}

/** The spec of a pod that mounts the target. */
export function mounting(secretName = 'enos-token', mount: object = {}): object {
  return {
    volumes: [{ name: 'v', secret: { secretName } }],
    containers: [{ volumeMounts: [{ name: 'v', ...mount }] }],
  }
}
