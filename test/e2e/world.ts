import { type ChildProcess, spawn } from 'node:child_process'
import { inject } from 'vitest'
import type { Call } from '../../simulator/call-log.ts'
import type { Verification } from '../../simulator/consumer-calls.ts'
import { eventually, type Harness, type Keys } from '../integration/harness.ts'
import { killAtExit } from '../support/kill-at-exit.ts'
import { podPort } from './pod-port.ts'

/** What pods of these tests have in common. */
export interface PodOptions {
  readonly name: string
  readonly command: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Name of a Secret, mounted at `mountPath`. */
  readonly mounts?: string
  readonly labels?: Readonly<Record<string, string>>
}

export const mountPath = '/var/run/enos'

/** A pod of the tools image, as a user's should be: no root, no capability, nothing to write to. */
export function podSpec({ command, env = {}, mounts }: Omit<PodOptions, 'name'>): object {
  const { images, sharesHostNetwork } = inject('podCluster')
  return {
    hostNetwork: sharesHostNetwork,
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 5,
    securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'main',
        image: images.tools,
        imagePullPolicy: 'IfNotPresent',
        command,
        env: Object.entries({ TOKEN_DIRECTORY: mountPath, ...env }).map(([name, value]) => ({ name, value })),
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        volumeMounts: mounts === undefined ? [] : [{ name: 'token', mountPath, readOnly: true }],
      },
    ],
    volumes: mounts === undefined ? [] : [{ name: 'token', secret: { secretName: mounts } }],
  }
}

/** Starts a pod, and waits until it runs. */
export async function startPod(harness: Harness, namespace: string, options: PodOptions): Promise<void> {
  const { labels = {}, name } = options
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels }, spec: podSpec(options) }
  await harness.kubectl(['-n', namespace, 'apply', '-f', '-'], JSON.stringify(pod))
  await harness.kubectl(['-n', namespace, 'wait', `pod/${name}`, '--for=condition=Ready', '--timeout=120s'])
}

/** A child process of a test, and the function that ends it. */
interface Forward {
  readonly url: string
  readonly stop: () => void
}

/** Makes a port of a pod reachable from here. */
export async function forward(harness: Harness, namespace: string, pod: string, port: number): Promise<Forward> {
  if (inject('podCluster').sharesHostNetwork) {
    return {
      url: `http://127.0.0.1:${port}`,
      stop: () => {
        // Nothing runs.
      },
    }
  }
  const child = startKubectl(harness, ['-n', namespace, 'port-forward', `pod/${pod}`, `:${port}`])
  let output = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text))
  const local = await eventually(() => {
    const match = /127\.0\.0\.1:(\d+)/.exec(output)
    if (match === null) throw new Error(`kubectl port-forward has not begun: ${output}`)
    return match[1] ?? ''
  })
  return { url: `http://127.0.0.1:${local}`, stop: () => child.kill() }
}

function startKubectl(harness: Harness, args: readonly string[]): ChildProcess {
  const { assets, kubeconfig } = harness.access
  const child = spawn(`${assets}/kubectl`, ['--kubeconfig', kubeconfig, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  killAtExit(child)
  return child
}

export interface ConsumerCallCounts {
  readonly accepted: Readonly<Record<Verification, number>>
  readonly refused: number
  readonly refusals: readonly { readonly path: string; readonly problem: string }[]
}

/** The simulator in a pod. */
export class GatewayPod {
  /** As pods see it. */
  readonly url: string
  readonly #forward: Forward

  private constructor(url: string, reach: Forward) {
    this.url = url
    this.#forward = reach
  }

  static async start(
    harness: Harness,
    namespace: string,
    options: { readonly name: string; readonly lifetime: string; readonly args?: readonly string[] },
  ): Promise<GatewayPod> {
    const { sharesHostNetwork } = inject('podCluster')
    const { args = [], lifetime, name } = options
    const port = sharesHostNetwork ? await podPort() : 8090
    const command = ['node', '/app/simulator.mjs', '--port', String(port), '--lifetime', lifetime, ...args]
    command.push('--host', sharesHostNetwork ? '127.0.0.1' : '0.0.0.0')
    await startPod(harness, namespace, { name, command, labels: { app: name } })
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { selector: { app: name }, ports: [{ port }] },
    }
    await harness.kubectl(['-n', namespace, 'apply', '-f', '-'], JSON.stringify(service))
    const reach = await forward(harness, namespace, name, port)
    await eventually(async () => (await fetch(`${reach.url}/simulator/state`)).text(), 30_000)
    return new GatewayPod(sharesHostNetwork ? reach.url : `http://${name}.${namespace}.svc:${port}`, reach)
  }

  async add(keys: Keys): Promise<void> {
    await this.#ask('PUT', 'applications', keys)
  }

  async calls(appKey: string): Promise<readonly Call[]> {
    const { calls } = (await this.#ask('GET', 'calls')) as { calls: readonly Call[] }
    return calls.filter((call) => call.appKey === appKey)
  }

  async consumerCalls(): Promise<ConsumerCallCounts> {
    return (await this.#ask('GET', 'consumer-calls')) as ConsumerCallCounts
  }

  async isValid(token: string): Promise<boolean> {
    return ((await this.#ask('POST', 'is-valid', { token })) as { valid: boolean }).valid
  }

  stop(): void {
    this.#forward.stop()
  }

  async #ask(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(`${this.#forward.url}/simulator/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!response.ok) throw new Error(`${method} ${path}: HTTP ${response.status}`)
    return await response.json()
  }
}

export interface LogLine {
  readonly text: string
  /** When it arrived, ms on the monotonic clock. */
  readonly atMs: number
}

/** Follows the log of a pod. */
export class PodLog {
  readonly lines: LogLine[] = []
  readonly #child: ChildProcess

  constructor(harness: Harness, namespace: string, pod: string) {
    this.#child = startKubectl(harness, ['-n', namespace, 'logs', '--follow', pod])
    let rest = ''
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n')
      rest = parts.pop() ?? ''
      this.lines.push(...parts.map((part) => ({ text: part, atMs: performance.now() })))
    })
  }

  /** Tokens in the order in which the pod saw them, where it runs report-token.mjs. */
  get tokens(): readonly { readonly fingerprint: string; readonly atMs: number }[] {
    return this.lines.map(({ atMs, text }) => ({ ...(JSON.parse(text) as { fingerprint: string }), atMs }))
  }

  stop(): void {
    this.#child.kill()
  }
}
