import type { Problem } from '../api/v1alpha1/problem.ts'
import { isForbidden, isNotFound } from '../kubernetes/errors.ts'
import { configMaps, type KubernetesClient, secrets } from '../kubernetes/types.ts'
import { joinNames } from '../lib/join-names.ts'
import type { Caches } from '../observe/caches.ts'
import { type Credential, type SourceRef, sourceRefs } from '../observe/observed.ts'
import { parseMetadata } from '../observe/parse-object.ts'
import { parseSources, type SourceObject } from '../observe/parse-sources.ts'
import type { Pass } from '../observe/pass.ts'

export interface SourceFetcherOptions {
  readonly client: Pick<KubernetesClient, 'get'>
  readonly caches: Caches
}

/** GETs the objects that a spec reads from: the watch has no data of Secrets. */
export class SourceFetcher {
  readonly #options: SourceFetcherOptions

  constructor(options: SourceFetcherOptions) {
    this.#options = options
  }

  /** @returns why a source cannot be read; undefined when all were, or one does not exist */
  async fetch({ credential, state }: Pass, signal: AbortSignal): Promise<Problem | undefined> {
    const { namespace, spec } = credential
    const read = await Promise.all(
      sourceRefs(spec).map(async (ref) => ({ ref, object: await this.#get(namespace, ref, signal) })),
    )
    const found = read.flatMap(({ object, ref }) => (object === undefined ? [] : [{ ref, object }]))
    // The store no longer has the missing one, so the next plan reports it.
    if (found.length < read.length) return undefined
    const refused = found.filter(({ object }) => object === 'forbidden').map(({ ref }) => ref)
    // Not kept in the state: no watch tells when the permission is given.
    if (refused.length > 0) return forbidden(refused, credential)
    const objects = found.flatMap(({ object, ref }) => (object === 'forbidden' ? [] : [{ ref, object }]))
    state.sources = parseSources(spec, objects)
    if (state.sources.trimmed.length === 0) state.notes.delete('SourceTrimmed')
    return undefined
  }

  /** @returns undefined when it does not exist */
  async #get(
    namespace: string,
    { kind, name }: SourceRef,
    signal: AbortSignal,
  ): Promise<SourceObject | 'forbidden' | undefined> {
    const { caches, client } = this.#options
    const [type, store] = kind === 'Secret' ? [secrets, caches.secrets] : [configMaps, caches.configMaps]
    try {
      const object = await client.get<SourceObject>(type, { namespace, name }, { signal })
      store.upsert(parseMetadata(object))
      return object
    } catch (error) {
      if (isForbidden(error)) return 'forbidden'
      if (!isNotFound(error)) throw error
      store.remove({ namespace, name })
      return undefined
    }
  }
}

function forbidden(refused: readonly SourceRef[], { namespace }: Credential): Problem {
  const what = refused.map(({ fields, kind, name }) => {
    return `${fields.join(' and ')}: the operator may not get ${kind} ${name}`
  })
  return {
    class: 'userMustAct',
    reason: 'SourceForbidden',
    message: `${joinNames(what, '; ')} in namespace ${namespace} (HTTP 403); check its RBAC`,
  }
}
