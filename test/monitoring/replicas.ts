import type { Harness } from '../integration/harness.ts'
import type { OperatorProcess } from '../integration/operator-process.ts'
import type { Monitoring } from './prometheus.ts'

/** The replicas of an install that works in one namespace, each scraped as the pod of its name. */
export class Replicas {
  readonly namespace: string
  readonly #harness: Harness
  readonly #monitoring: Monitoring
  readonly #kubeconfig: string
  readonly #running = new Map<string, OperatorProcess>()

  private constructor(namespace: string, harness: Harness, monitoring: Monitoring, kubeconfig: string) {
    this.namespace = namespace
    this.#harness = harness
    this.#monitoring = monitoring
    this.#kubeconfig = kubeconfig
  }

  /** @param kubeconfig default: that of the shipped service account */
  static async create(
    harness: Harness,
    monitoring: Monitoring,
    kubeconfig = harness.access.operatorKubeconfig,
  ): Promise<Replicas> {
    const namespace = await harness.namespace()
    // The shipped Role is for enos-system, whose Lease belongs to one install; the test files run side by side.
    const create = ['-n', namespace, 'create']
    await harness.kubectl([...create, 'role', 'leases', '--verb=create,get,watch,update', '--resource=leases'])
    const account = '--serviceaccount=enos-system:enos-credential-operator'
    await harness.kubectl([...create, 'rolebinding', 'leases', '--role=leases', account])
    return new Replicas(namespace, harness, monitoring, kubeconfig)
  }

  /** The first one leads. */
  async start(pod: string): Promise<OperatorProcess> {
    const operator = await this.#harness.operator({
      args: ['--leader-elect-namespace', this.namespace, '--namespace', this.namespace],
      kubeconfig: this.#kubeconfig,
    })
    if (this.#running.size === 0) await operator.working()
    this.#running.set(pod, operator)
    await this.#monitoring.scrape(pod, operator)
    return operator
  }

  async stop(pod: string, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const operator = this.#running.get(pod)
    this.#running.delete(pod)
    operator?.signal(signal)
    await operator?.exited()
    await this.#monitoring.forget(pod)
  }

  async stopAll(): Promise<void> {
    for (const pod of [...this.#running.keys()]) await this.stop(pod)
  }

  async leader(): Promise<string> {
    for (const [pod, operator] of this.#running) {
      if ((await operator.metric('leader_election_master_status')) === 1) return pod
    }
    throw new Error('no replica leads')
  }
}
