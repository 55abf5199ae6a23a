import { parseStatus } from '../src/api/v1alpha1/credential.ts'
import type { CredentialStatus } from '../src/api/v1alpha1/status-schema.ts'
import { credentials, type KubernetesClient, type KubernetesObject, secrets } from '../src/kubernetes/types.ts'
import type { Secret } from '../src/targets/secret.ts'
import type { Kubectl } from '../test/control-plane/control-plane.ts'
import { manifests, namespace, type Target, targets, tokenIn } from './plant.ts'
import type { ConditionSummary } from './screen.ts'

export async function createPlant(kubectl: Kubectl, gatewayUrl: string): Promise<void> {
  await kubectl(['apply', '-f', '-'], JSON.stringify(manifests(gatewayUrl)))
}

/** The namespace of the demo, read and changed as cluster-admin. */
export class Plant {
  readonly #client: KubernetesClient

  constructor(client: KubernetesClient) {
    this.#client = client
  }

  /** The token of each target, by name of the Secret; targets without a token are left out. */
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

  async overwrite({ key, name }: Target): Promise<void> {
    const data = { [key]: Buffer.from('overwritten by hand').toString('base64') }
    await this.#client.patch(secrets, { namespace, name }, { type: 'merge', body: { data } })
  }

  async remove({ name }: Target): Promise<void> {
    await this.#client.delete(secrets, { namespace, name })
  }

  /** The conditions of each resource, by name. */
  async conditions(): Promise<Map<string, ConditionSummary>> {
    const { items } = await this.#client.list<KubernetesObject & { status?: unknown }>(credentials, namespace)
    return new Map(items.map(({ metadata, status }) => [metadata.name ?? '', summarise(parseStatus(status))]))
  }

  /** The resources that are not Ready, each with its reason. */
  async notReady(): Promise<string[]> {
    const conditions = await this.conditions()
    return targets.flatMap(({ credential }) => {
      const { level, text } = conditions.get(credential) ?? { level: 'notReady', text: 'absent' }
      return level === 'notReady' ? [`${credential} (${text})`] : []
    })
  }
}

function summarise({ conditions }: CredentialStatus): ConditionSummary {
  const ready = conditions.find(({ type }) => type === 'Ready')
  const renewal = conditions.find(({ type }) => type === 'RenewalHealthy')
  if (ready?.status !== 'True') {
    return { level: 'notReady', text: ready === undefined ? 'Unknown' : `not Ready: ${ready.reason}` }
  }
  return renewal?.status === 'False'
    ? { level: 'renewalFails', text: `Ready, ${renewal.reason}` }
    : { level: 'ready', text: 'Ready' }
}
