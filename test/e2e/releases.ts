import { inject } from 'vitest'
import type { KubernetesObject } from '../../src/kubernetes/types.ts'
import { eventually, type Harness } from '../integration/harness.ts'
import { run } from '../support/run.ts'
import { podPort } from './pod-port.ts'
import { forward } from './world.ts'

/** Values of the chart. */
export type Values = Readonly<Record<string, unknown>>

/** Names of the releases. */
export const replicas = ['one', 'two'] as const
export type Replica = (typeof replicas)[number]

export const operatorNamespace = 'enos-system'

/**
 * The operator as two releases of the chart, each of one replica with ports of its own, which share one lease: pods on
 * one host's network could not be replicas of one Deployment.
 */
export class Releases {
  readonly #harness: Harness
  readonly #ports = new Map<Replica, { metrics: number; probes: number }>()

  constructor(harness: Harness) {
    this.#harness = harness
  }

  /** Installs a release, or upgrades it. Waits until it is ready. */
  async install(replica: Replica, chart: string, values: Values = {}): Promise<void> {
    const all = { ...(await this.#values(replica)), ...values }
    await this.#helm(
      ['upgrade', '--install', replica, chart, '--create-namespace', '--wait', '--timeout', '3m', '--values', '-'],
      JSON.stringify(all),
    )
  }

  async rollback(replica: Replica): Promise<void> {
    await this.#helm(['rollback', replica, '--wait', '--timeout', '3m'])
  }

  /** Waits until the pods have ended. */
  async uninstall(replica: Replica): Promise<void> {
    await this.#helm(['uninstall', replica, '--ignore-not-found', '--wait', '--timeout', '3m'])
    const selector = `app.kubernetes.io/instance=${replica}`
    await this.#harness.kubectl([
      '-n',
      operatorNamespace,
      'wait',
      '--for=delete',
      'pod',
      '-l',
      selector,
      '--timeout=60s',
    ])
  }

  /** The pod of a release. Waits until there is one. */
  async pod(replica: Replica): Promise<string> {
    return await eventually(() => this.#presentPod(replica), 60_000, 250)
  }

  async metrics(replica: Replica): Promise<string> {
    const port = this.#ports.get(replica)?.metrics ?? 0
    const reach = await forward(this.#harness, operatorNamespace, await this.#presentPod(replica), port)
    try {
      return await (await fetch(`${reach.url}/metrics`)).text()
    } finally {
      reach.stop()
    }
  }

  /** Waits until one leads. */
  async leader(withinMs = 40_000): Promise<Replica> {
    return await eventually(
      async () => {
        for (const replica of replicas) {
          const text = await this.metrics(replica).catch(() => '')
          if (/^leader_election_master_status\{[^}]*\} 1$/m.test(text)) return replica
        }
        throw new Error('no replica leads')
      },
      withinMs,
      200,
    )
  }

  async #presentPod(replica: Replica): Promise<string> {
    const selector = `app.kubernetes.io/instance=${replica}`
    const list = await this.#harness.kubectl(['-n', operatorNamespace, 'get', 'pods', '-l', selector, '-o', 'json'])
    const { items } = JSON.parse(list) as { items: KubernetesObject[] }
    const pod = items.find(({ metadata }) => metadata.deletionTimestamp === undefined)
    if (pod?.metadata.name === undefined) throw new Error(`the release ${replica} has no pod`)
    return pod.metadata.name
  }

  async #values(replica: Replica): Promise<Values> {
    const { images, sharesHostNetwork } = inject('podCluster')
    const ports = this.#ports.get(replica) ?? { metrics: await podPort(), probes: await podPort() }
    this.#ports.set(replica, ports)
    const isFirst = replica === replicas[0]
    const colon = images.operator.lastIndexOf(':')
    return {
      image: { repository: images.operator.slice(0, colon), tag: images.operator.slice(colon + 1) },
      fullnameOverride: `operator-${replica}`,
      replicaCount: 1,
      leaderElection: { leaseName: 'enos-credential-operator' },
      consumers: { propagation: true, restarts: true },
      log: { level: 'debug' },
      hostNetwork: sharesHostNetwork,
      ...(sharesHostNetwork ? { dnsPolicy: 'Default' } : {}),
      metrics: { listen: { port: ports.metrics } },
      healthProbe: { port: ports.probes },
      // The ports of the old pod are taken until it has ended.
      strategy: { type: 'Recreate' },
      // A cluster has these once.
      crds: { enabled: isFirst },
      admissionPolicy: { enabled: isFirst },
      rbac: { aggregateClusterRoles: isFirst },
    }
  }

  async #helm(args: readonly string[], input?: string): Promise<string> {
    const { kubeconfig } = this.#harness.access
    const helm = `${inject('chartPrograms')}/helm4`
    return await run(helm, ['--kubeconfig', kubeconfig, '--namespace', operatorNamespace, ...args], input)
  }
}
