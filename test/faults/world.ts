import { readFile } from 'node:fs/promises'
import { expect } from 'vitest'
import type { Simulator, SimulatorOptions } from '../../simulator/server.ts'
import { statusMessages } from '../../simulator/token-request.ts'
import { annotations } from '../../src/api/v1alpha1/names.ts'
import { credentials, events, type KubernetesObject } from '../../src/kubernetes/types.ts'
import { type CredentialObject, eventually, type Harness, type Keys } from '../integration/harness.ts'
import type { OperatorOptions, OperatorProcess } from '../integration/operator-process.ts'
import { type Findings, Referee } from '../integration/referee.ts'

export interface WorldOptions {
  /** Lifetime of a token. Default 12: renewed 6 s before expiry, or a little earlier. */
  readonly lifetimeSeconds?: number
  readonly gateway?: SimulatorOptions
  readonly operator?: OperatorOptions
  /** Whether operators use leader election, with a Lease of this world. */
  readonly isElected?: boolean
  /** Whether a second watched namespace exists, for many resources. */
  readonly hasCrowd?: boolean
  /** Merged into the spec of all three resources. */
  readonly spec?: Record<string, unknown>
  /** Merged into `spec.gateway`. */
  readonly gatewaySpec?: (world: World) => Promise<Record<string, unknown>>
  /** Merged into the operator's environment. */
  readonly environment?: (world: World) => Promise<Readonly<Record<string, string>>>
  /** The operator's kubeconfig. Default: of the service account of the manifests. */
  readonly kubeconfig?: (world: World) => Promise<string>
}

export const defaultLifetimeSeconds = 12
/** The Merge target, a foreign Secret. */
const theirs = 'theirs'
const bystander = 'bystander'

/**
 * The scene of a fault: a namespace with three resources, an operator, and a gateway. `first` and `second` share an
 * application; `third` has one of its own, and a key in a foreign Secret.
 */
export class World {
  readonly harness: Harness
  readonly namespace: string
  readonly gateway: Simulator
  readonly lifetimeMs: number
  readonly shared: Keys
  readonly own: Keys
  readonly names = ['first', 'second', 'third'] as const
  readonly targets: ReadonlyMap<string, string> = new Map([
    ['first-token', 'accessToken'],
    ['second-token', 'accessToken'],
    ['third-token', 'accessToken'],
    [theirs, 'ENOS_TOKEN'],
  ])
  /** Run at the end of the world, the last one first. */
  readonly cleanUps: (() => Promise<void>)[] = []
  /** All operators of this world, the current one last. */
  readonly operators: OperatorProcess[] = []
  #operatorOptions: OperatorOptions = {}
  #referee: Referee | undefined
  #crowd: string | undefined
  /** Common to the specs of all resources. */
  #spec: Record<string, unknown> = {}

  private constructor(harness: Harness, namespace: string, gateway: Simulator, lifetimeMs: number, keys: [Keys, Keys]) {
    this.harness = harness
    this.namespace = namespace
    this.gateway = gateway
    this.lifetimeMs = lifetimeMs
    const [shared, own] = keys
    this.shared = shared
    this.own = own
  }

  /** Resolves when all resources are Ready and the referee watches. */
  static async create(harness: Harness, options: WorldOptions = {}): Promise<World> {
    const { lifetimeSeconds = defaultLifetimeSeconds } = options
    const keys: [Keys, Keys] = [harness.keys(), harness.keys()]
    const gateway = await harness.gateway({ lifetimeSeconds, applications: keys, ...options.gateway })
    const namespace = await harness.namespace()
    const world = new World(harness, namespace, gateway, lifetimeSeconds * 1000, keys)
    if (options.hasCrowd === true) world.#crowd = await harness.namespace()
    await world.#populate(options)
    await world.#startOperator(options)
    for (const name of world.names) await harness.expectReady(namespace, name, 20_000)
    world.#referee = new Referee({
      harness,
      namespace,
      isValid: (token) => gateway.service.isValid(token),
      targets: world.targets,
      bystanders: [theirs, bystander],
    })
    return world
  }

  get operator(): OperatorProcess {
    const operator = this.operators.at(-1)
    if (operator === undefined) throw new Error('this world has no operator')
    return operator
  }

  /** The second namespace. */
  get crowd(): string {
    if (this.#crowd === undefined) throw new Error('this world has no second namespace')
    return this.#crowd
  }

  get referee(): Referee {
    if (this.#referee === undefined) throw new Error('the referee has not started')
    return this.#referee
  }

  /** Starts another operator with the options of the first. */
  async startOperator(): Promise<OperatorProcess> {
    const operator = await this.harness.operator(this.#operatorOptions)
    this.operators.push(operator)
    return operator
  }

  /** Latest start of a renewal, in ms before expiry: half of the lifetime. */
  get windowMs(): number {
    return this.lifetimeMs / 2
  }

  /** Remaining life of the oldest current token at the gateway. */
  minLifeMs(): number {
    const left = [this.shared, this.own].map(({ appKey }) => {
      const token = this.gateway.service.currentToken(appKey)
      return token === undefined ? 0 : (this.gateway.service.expiresAt(token) ?? 0) - Date.now()
    })
    return Math.min(...left)
  }

  /** Waits until a renewal begins in less than `withinMs`. */
  async beforeRenewal(withinMs = 500): Promise<void> {
    const jitterMs = 0.05 * this.lifetimeMs
    await eventually(() => {
      const untilMs = this.minLifeMs() - this.windowMs - jitterMs
      expect(untilMs).toBeGreaterThan(0)
      expect(untilMs).toBeLessThan(withinMs)
    }, 2 * this.lifetimeMs)
  }

  /** Spoils a target on purpose: its next bad state is excused, however long the API server takes to spoil it. */
  async spoil(target: string, how: () => Promise<unknown>): Promise<void> {
    this.referee.excuse(target, Infinity)
    await how()
    this.referee.excuse(target)
  }

  /** Waits until every target holds a valid token and every resource is Ready and healthy. @returns the wait in ms */
  async recovered(withinMs: number): Promise<number> {
    const begun = performance.now()
    await eventually(async () => {
      for (const name of this.names) {
        const { status } = await this.harness.getCredential(this.namespace, name)
        const conditions = (status?.conditions ?? []).map((one) => `${one.type} ${one.status}`)
        expect(conditions, name).toEqual(['Ready True', 'RenewalHealthy True'])
      }
      for (const [name, key] of this.targets) {
        const token = (await this.harness.data(this.namespace, name))?.[key] ?? ''
        expect(this.gateway.service.isValid(token), `the token of ${name}`).toBe(true)
      }
    }, withinMs)
    return performance.now() - begun
  }

  async expectConditions(type: string, expected: string, withinMs?: number): Promise<void> {
    for (const name of this.names) await this.harness.expectCondition(this.namespace, name, type, expected, withinMs)
  }

  /** Requests a renewal of all resources by the annotation. */
  async requestRenewal(): Promise<void> {
    for (const name of this.names) {
      const metadata = { annotations: { [annotations.renewRequestedAt]: `${performance.now()}` } }
      await this.harness.patchCredential(this.namespace, name, { metadata })
    }
  }

  /** Counts refreshes less than a quarter of a lifetime after another of the same application. */
  duplicateRefreshes(): number {
    let duplicates = 0
    for (const { appKey } of [this.shared, this.own]) {
      const times = this.gateway.calls
        .filter((call) => call.appKey === appKey && call.operation === 'refresh' && call.status === 0)
        .map(({ atMs }) => atMs)
      duplicates += times.filter((atMs, at) => at > 0 && atMs - (times[at - 1] ?? 0) < this.lifetimeMs / 4).length
    }
    return duplicates
  }

  /** All readable output: logs, metrics, events, resources. */
  async output(): Promise<string> {
    const texts = this.operators.flatMap((operator) => [operator.output, operator.lastMetrics])
    for (const type of [events, credentials]) {
      texts.push(JSON.stringify(await this.harness.admin.list<KubernetesObject>(type, this.namespace)))
    }
    return texts.join('\n')
  }

  /** Must not be in that output: tokens, keys, and texts of the gateway. */
  secrets(): string[] {
    const keys = [this.shared, this.own].flatMap(({ appKey, appSecret }) => [appKey, appSecret])
    return [
      'APP_PORTAL_S_',
      's3cr3t-',
      ...keys,
      ...Object.values(statusMessages),
      'Internal service exception',
      '<html>',
    ]
  }

  async end(): Promise<Findings> {
    const findings = await this.referee.stop()
    for (const operator of this.operators) await operator.end()
    for (const cleanUp of this.cleanUps.reverse()) await cleanUp()
    return findings
  }

  async credential(name: string): Promise<CredentialObject> {
    return await this.harness.getCredential(this.namespace, name)
  }

  /** Creates the resource `third`. */
  async createThird(): Promise<void> {
    const merged = { name: theirs, creationPolicy: 'Merge', data: { ENOS_TOKEN: '{{ accessToken }}' } }
    const spec = { ...this.#spec, targets: [{ name: 'third-token' }, merged] }
    await this.harness.createCredential(this.namespace, 'third', this.gateway, this.own, spec)
  }

  /** Creates all resources. */
  async createCredentials(): Promise<void> {
    const { gateway, harness, namespace, shared } = this
    await harness.createCredential(namespace, 'first', gateway, shared, this.#spec)
    await harness.createCredential(namespace, 'second', gateway, shared, this.#spec)
    await this.createThird()
  }

  async #populate({ gatewaySpec, spec = {} }: WorldOptions): Promise<void> {
    const { gateway, harness, namespace } = this
    await harness.createSecret(namespace, bystander, { password: 'untouchable' })
    await harness.createSecret(namespace, theirs, { password: 'untouchable' })
    this.#spec = { gateway: { url: gateway.url, allowInsecureHTTP: true, ...(await gatewaySpec?.(this)) }, ...spec }
    await this.createCredentials()
  }

  async #startOperator({ environment, isElected = false, kubeconfig, operator = {} }: WorldOptions): Promise<void> {
    const { args = [], ...rest } = operator
    if (isElected) await this.#allowLease()
    const election = isElected ? ['--leader-elect-namespace', this.namespace] : ['--no-leader-elect']
    const namespaces = [this.namespace, ...(this.#crowd === undefined ? [] : [this.#crowd])]
    this.#operatorOptions = {
      ...rest,
      args: [...args, ...election, ...namespaces.flatMap((name) => ['--namespace', name])],
      env: { ...operator.env, ...(await environment?.(this)) },
      ...(kubeconfig === undefined ? {} : { kubeconfig: await kubeconfig(this) }),
    }
    await (await this.startOperator()).working()
  }

  /** Applies the leader-election role of the manifests to this namespace. */
  async #allowLease(): Promise<void> {
    const manifests = new URL('../../deploy/base/leader-election.yaml', import.meta.url)
    const own = (await readFile(manifests, 'utf8')).replaceAll('namespace: enos-system', `namespace: ${this.namespace}`)
    // The service account lives in enos-system.
    const subjects = own.replace(/(kind: ServiceAccount[^]*?namespace: )\S+/, '$1enos-system')
    await this.harness.kubectl(['-n', this.namespace, 'apply', '-f', '-'], subjects)
  }
}
