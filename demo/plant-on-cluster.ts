import { parseStatus } from '../src/api/v1alpha1/credential.ts'
import { isNotFound } from '../src/kubernetes/errors.ts'
import { credentials, type KubernetesClient, type KubernetesObject, secrets } from '../src/kubernetes/types.ts'
import type { Secret } from '../src/targets/desired-secret.ts'
import type { Kubectl } from '../test/control-plane/control-plane.ts'
import { manifests, namespace, type Target, targets, tokenIn } from './plant.ts'

export async function createPlant(kubectl: Kubectl, gatewayUrl: string): Promise<void> {
  await kubectl(['apply', '-f', '-'], JSON.stringify(manifests(gatewayUrl)))
}

/** What the demo sees and does in the namespace, as cluster-admin. */
export class Plant {
  readonly #client: KubernetesClient

  constructor(client: KubernetesClient) {
    this.#client = client
  }

  /** The token of each target that has one. */
  async tokens(signal: AbortSignal): Promise<Map<string, string>> {
    const { items } = await this.#client.list<Secret>(secrets, namespace, { signal, timeoutMs: 5000 })
    const tokens = new Map<string, string>()
    for (const target of targets) {
      const secret = items.find(({ metadata }) => metadata.name === target.name)
      const token = tokenIn(target, secret?.data ?? {})
      if (token !== undefined) tokens.set(target.name, token)
    }
    return tokens
  }

  /** The token of one target; undefined where there is none. */
  async token(target: Target, signal: AbortSignal): Promise<string | undefined> {
    try {
      const secret = await this.#client.get<Secret>(secrets, { namespace, name: target.name }, { signal })
      return tokenIn(target, secret.data ?? {})
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  async overwrite({ key, name }: Target): Promise<void> {
    const data = { [key]: Buffer.from('overwritten by hand').toString('base64') }
    await this.#client.patch(secrets, { namespace, name }, { type: 'merge', body: { data } })
  }

  async remove({ name }: Target): Promise<void> {
    await this.#client.delete(secrets, { namespace, name })
  }

  /** Status and reason of the condition Ready of each resource, like `True/Synced`. */
  async readiness(): Promise<Map<string, string>> {
    const { items } = await this.#client.list<KubernetesObject & { status?: unknown }>(credentials, namespace)
    const entries = items.map(({ metadata, status }): [string, string] => {
      const ready = parseStatus(status).conditions.find(({ type }) => type === 'Ready')
      return [metadata.name ?? '', ready === undefined ? 'Unknown' : `${ready.status}/${ready.reason}`]
    })
    return new Map(entries)
  }

  /** The resources that are not Ready, each with its reason. */
  async notReady(): Promise<string[]> {
    const readiness = await this.readiness()
    return targets.flatMap(({ credential }) => {
      const ready = readiness.get(credential) ?? 'absent'
      return ready.startsWith('True/') ? [] : [`${credential} (${ready})`]
    })
  }
}
