import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { KubeConfig } from '@kubernetes/client-node'
import { afterAll, beforeAll, expect, inject } from 'vitest'
import { type Simulator, type SimulatorOptions, startSimulator } from '../../simulator/server.ts'
import type { CredentialStatus } from '../../src/api/v1alpha1/status-schema.ts'
import { type ApiConnection, connect } from '../../src/kubernetes/connect.ts'
import { isNotFound } from '../../src/kubernetes/errors.ts'
import { retryRefusedCalls } from '../../src/kubernetes/retrying-client.ts'
import {
  configMaps,
  credentials,
  events,
  type KubernetesClient,
  type KubernetesObject,
  type ResourceType,
  secrets,
} from '../../src/kubernetes/types.ts'
import { SystemClock } from '../../src/lib/clock.ts'
import type { Secret } from '../../src/targets/secret.ts'
import { waitUntilServed } from '../control-plane/served.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { run } from '../support/run.ts'
import { type OperatorOptions, OperatorProcess } from './operator-process.ts'

export interface CredentialObject extends KubernetesObject {
  readonly spec: Record<string, unknown>
  readonly status?: CredentialStatus
}

export interface Keys {
  readonly appKey: string
  readonly appSecret: string
}

/**
 * Prefixes of every secret in these tests, plain and in base64: tokens of the simulator, appKeys and appSecrets. No
 * output of the operator may contain one.
 */
const markers = ['APP_PORTAL_S_', 'k3y-', 's3cr3t-'].flatMap((text) => [
  text,
  Buffer.from(text)
    .toString('base64')
    .slice(0, Math.floor((text.length * 8) / 6)),
])

/** Access to a control plane. */
export interface Access {
  /** Folder of kubectl. */
  readonly assets: string
  /** Paths of kubeconfigs. */
  readonly kubeconfig: string
  readonly operatorKubeconfig: string
}

/** The environment of a test file: API server, gateways, operators. All of it ends with the file. */
export class Harness {
  readonly access: Access
  /** As cluster-admin. Retries as kubectl does: the API server answers 429 until the storage of a new kind is ready. */
  readonly admin: KubernetesClient
  readonly #connection: ApiConnection
  readonly #operators: OperatorProcess[] = []
  readonly #gateways: Simulator[] = []
  readonly #namespaces: string[] = []
  readonly #directories: string[] = []

  constructor(access: Access) {
    this.access = access
    const clock = new SystemClock()
    this.#connection = connect({
      kubeconfig: { environment: { KUBECONFIG: access.kubeconfig } },
      clock,
      userAgent: 'integration-test',
      fieldManager: 'integration-test',
    })
    this.admin = retryRefusedCalls(this.#connection.client, clock)
  }

  async namespace(): Promise<string> {
    const name = `t-${randomBytes(4).toString('hex')}`
    await this.kubectl(['create', 'namespace', name])
    this.#namespaces.push(name)
    return name
  }

  /** Runs kubectl as cluster-admin. @returns its output */
  async kubectl(args: readonly string[], input?: string): Promise<string> {
    const { assets, kubeconfig } = this.access
    return await run(`${assets}/kubectl`, ['--kubeconfig', kubeconfig, ...args], input)
  }

  /** Waits until the API server serves the kinds of all CRDs. */
  async waitUntilServed(): Promise<void> {
    await waitUntilServed((args) => this.kubectl(args))
  }

  async gateway(options: SimulatorOptions = {}): Promise<Simulator> {
    // Still free at the end of an outage.
    const gateway = await startSimulator({ port: await freePort(), ...options })
    this.#gateways.push(gateway)
    return gateway
  }

  async operator(options: OperatorOptions = {}): Promise<OperatorProcess> {
    const operator = await OperatorProcess.start({ kubeconfig: this.access.operatorKubeconfig, ...options })
    this.#operators.push(operator)
    return operator
  }

  /** Creates a service account with a token. @returns the path of its kubeconfig */
  async serviceAccount(namespace: string, name: string): Promise<string> {
    await this.kubectl(['-n', namespace, 'create', 'serviceaccount', name])
    const token = (await this.kubectl(['-n', namespace, 'create', 'token', name])).trim()
    const config = new KubeConfig()
    config.loadFromFile(this.access.kubeconfig)
    config.users = config.users.map((user) => ({ name: user.name, token }))
    const directory = await mkdtemp(join(tmpdir(), 'kubeconfig-'))
    this.#directories.push(directory)
    const file = join(directory, 'config')
    await writeFile(file, config.exportConfig())
    return file
  }

  /** Waits until a service account has a permission: the API server learns of a new binding a moment after its creation. */
  async waitUntilAllowed(namespace: string, account: string, verb: string, resource: string): Promise<void> {
    const user = `system:serviceaccount:${account}`
    await eventually(() => this.kubectl(['-n', namespace, 'auth', 'can-i', verb, resource, '--as', user]), 30_000)
  }

  /** Keys of an application for one test alone. */
  keys(): Keys {
    const id = randomBytes(6).toString('hex')
    return { appKey: `k3y-${id}`, appSecret: `s3cr3t-${id}` }
  }

  async createSecret(
    namespace: string,
    name: string,
    stringData: Record<string, string>,
    rest: object = {},
  ): Promise<Secret> {
    return await this.admin.create<Secret>(secrets, namespace, { metadata: { name }, stringData, ...rest })
  }

  async getSecret(namespace: string, name: string): Promise<Secret | undefined> {
    return await this.#find<Secret>(secrets, namespace, name)
  }

  /** The decoded data of a Secret. */
  async data(namespace: string, name: string): Promise<Record<string, string> | undefined> {
    const secret = await this.getSecret(namespace, name)
    if (secret === undefined) return undefined
    return Object.fromEntries(
      Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
    )
  }

  async patchSecret(namespace: string, name: string, body: object): Promise<void> {
    await this.admin.patch(secrets, { namespace, name }, { type: 'merge', body })
  }

  async deleteSecret(namespace: string, name: string): Promise<void> {
    await this.admin.delete(secrets, { namespace, name })
  }

  async createConfigMap(namespace: string, name: string, data: Record<string, string>): Promise<void> {
    await this.admin.create(configMaps, namespace, { metadata: { name }, data })
  }

  /** Creates a resource with a source Secret `<name>-app` and, unless `spec` has targets, one target `<name>-token`. */
  async createCredential(
    namespace: string,
    name: string,
    gateway: Pick<Simulator, 'url'>,
    keys: Keys,
    spec: Record<string, unknown> = {},
  ): Promise<void> {
    if ((await this.getSecret(namespace, `${name}-app`)) === undefined) {
      await this.createSecret(namespace, `${name}-app`, { ...keys })
    }
    await this.admin.create(credentials, namespace, {
      apiVersion: 'enos.io/v1alpha1',
      kind: 'EnosAppCredential',
      metadata: { name },
      spec: {
        gateway: { url: gateway.url, allowInsecureHTTP: true },
        appKeyRef: { name: `${name}-app` },
        appSecretRef: { name: `${name}-app` },
        targets: [{ name: `${name}-token` }],
        ...spec,
      },
    })
  }

  async getCredential(namespace: string, name: string): Promise<CredentialObject> {
    return await this.admin.get<CredentialObject>(credentials, { namespace, name })
  }

  async patchCredential(namespace: string, name: string, body: object): Promise<void> {
    await this.admin.patch(credentials, { namespace, name }, { type: 'merge', body })
  }

  async deleteCredential(namespace: string, name: string): Promise<void> {
    await this.admin.delete(credentials, { namespace, name })
  }

  /** A condition as `status/reason`, or `none`. */
  async condition(namespace: string, name: string, type: string): Promise<string> {
    const { status } = await this.getCredential(namespace, name)
    const condition = status?.conditions.find((one) => one.type === type)
    return condition === undefined ? 'none' : `${condition.status}/${condition.reason}`
  }

  async message(namespace: string, name: string, type: string): Promise<string> {
    const { status } = await this.getCredential(namespace, name)
    return status?.conditions.find((one) => one.type === type)?.message ?? ''
  }

  /** Waits until a condition has the expected `status/reason`. */
  async expectCondition(
    namespace: string,
    name: string,
    type: string,
    expected: string,
    withinMs = 10_000,
  ): Promise<void> {
    await eventually(async () => expect(await this.condition(namespace, name, type)).toBe(expected), withinMs)
  }

  async expectReady(namespace: string, name: string, withinMs = 10_000): Promise<void> {
    await this.expectCondition(namespace, name, 'Ready', 'True/Synced', withinMs)
  }

  /** Reasons of a resource's events. */
  async eventReasons(namespace: string, name: string): Promise<string[]> {
    const { items } = await this.admin.list<KubernetesObject & { regarding?: { name?: string }; reason?: string }>(
      events,
      namespace,
    )
    return items.filter(({ regarding }) => regarding?.name === name).map(({ reason }) => reason ?? '')
  }

  async stop(): Promise<void> {
    await Promise.all(this.#operators.map((operator) => operator.end()))
    const everything = await this.#everythingPutOut()
    await Promise.all(this.#gateways.map((gateway) => gateway.close()))
    for (const namespace of this.#namespaces) {
      await this.kubectl(['delete', 'namespace', namespace, '--wait=false', '--ignore-not-found'])
    }
    for (const directory of this.#directories) await rm(directory, { recursive: true })
    await this.#connection.close()
    for (const [where, text] of everything) {
      const found = markers.filter((marker) => text.includes(marker))
      expect(found, `secrets in ${where}`).toEqual([])
    }
  }

  /** Logs and metrics of all operators; events, and resources with their status. */
  async #everythingPutOut(): Promise<Map<string, string>> {
    const everything = new Map<string, string>()
    for (const [at, operator] of this.#operators.entries()) {
      everything.set(`the log of operator ${at}`, operator.output)
      everything.set(`the metrics of operator ${at}`, operator.lastMetrics)
    }
    for (const namespace of this.#namespaces) {
      everything.set(`the events of ${namespace}`, JSON.stringify(await this.admin.list(events, namespace)))
      everything.set(`the resources of ${namespace}`, JSON.stringify(await this.admin.list(credentials, namespace)))
      const { items } = await this.admin.list<Secret>(secrets, namespace)
      const withoutData = items.map(({ metadata }) => metadata)
      everything.set(`the metadata of Secrets in ${namespace}`, JSON.stringify(withoutData))
      // Proves that the scan can find the markers.
      const tokens = items.filter((secret) => secret.metadata.labels?.['enos.io/credential'] !== undefined)
      for (const token of tokens) {
        expect(markers.some((marker) => JSON.stringify(token.data).includes(marker))).toBe(true)
      }
    }
    return everything
  }

  async #find<T extends KubernetesObject>(type: ResourceType, namespace: string, name: string): Promise<T | undefined> {
    try {
      return await this.admin.get<T>(type, { namespace, name })
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }
}

/** The shared control plane. */
function sharedAccess(): Access {
  return {
    assets: inject('assets'),
    kubeconfig: inject('adminKubeconfig'),
    operatorKubeconfig: inject('operatorKubeconfig'),
  }
}

/** A harness for the tests of a file; at the end of the file all output is scanned for secrets. */
export function useHarness(access: () => Access | Promise<Access> = sharedAccess): () => Harness {
  let harness: Harness | undefined
  beforeAll(async () => {
    harness = new Harness(await access())
  })
  afterAll(async () => {
    await harness?.stop()
  })
  return () => {
    if (harness === undefined) throw new Error('the harness exists inside of tests only')
    return harness
  }
}

export { delay, eventually }
