import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Duplex, Readable } from 'node:stream'
import { type Simulator, type SimulatorOptions, startSimulator } from '../../../simulator/server.ts'
import { openApiServer } from '../../../src/commands/api-server.ts'
import { runProgram } from '../../../src/commands/program.ts'
import type { KubernetesClient } from '../../../src/kubernetes/types.ts'
import { now } from '../../support/builders.ts'
import { selfSigned } from '../../support/certificate.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { MemoryApi } from '../../support/memory-api.ts'

/** The clock moves this much in each real millisecond or so: waits end soon, and calls on loopback have ample time. */
const stepMs = { usual: 2, waiting: 10 }
/** A command that has not ended after this many steps is stuck. */
const maxSteps = 10_000

export interface Run {
  readonly environment?: Readonly<Record<string, string>>
  readonly stdin?: string
  /** A kubeconfig instead of the API in memory: the real client is used. */
  readonly kubeconfig?: string
  /** Standard error is a terminal. */
  readonly statusLine?: (text: string) => void
  /** The command waits for long: the clock moves faster. */
  readonly isWaiting?: boolean
}

/** Commands in this process: an API server in memory, gateways and stubs on loopback, and a clock of its own. */
export class CommandWorld {
  readonly clock = new FakeClock(now)
  readonly api = new MemoryApi(this.clock, 'test')
  readonly tls = selfSigned()
  readonly #closes: (() => Promise<unknown>)[] = []
  readonly #hidden = new Map<string, string>()

  async gateway(options: SimulatorOptions = {}): Promise<Simulator> {
    const simulator = await startSimulator({ clock: this.clock, lifetimeSeconds: 7200, ...options })
    this.#closes.push(() => simulator.close())
    return simulator
  }

  /** A server that answers everything alike, with the certificate `tls` if it is https. @returns its URL */
  async stub(scheme: 'http' | 'https', answer: (response: ServerResponse) => void): Promise<string> {
    const listener = (_: unknown, response: ServerResponse): void => {
      response.setHeader('date', new Date(this.clock.wall()).toUTCString())
      answer(response)
    }
    const server = scheme === 'http' ? createServer(listener) : createTlsServer(this.tls, listener)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    this.#closes.push(async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    })
    return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  /** An HTTP proxy that answers each CONNECT alike. @returns its URL */
  async proxy(answer: (socket: Duplex) => void): Promise<string> {
    const server = createServer().on('connect', (_, socket) => {
      answer(socket)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    this.#closes.push(async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  /** A file, whose folder is DIR in the output. @returns its path */
  async file(name: string, text: string): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'commands-'))
    this.#closes.push(() => rm(directory, { recursive: true }))
    this.#hidden.set(directory, 'DIR')
    const path = join(directory, name)
    await writeFile(path, text)
    return path
  }

  /** A kubeconfig for an API server at `server`. */
  async kubeconfig(server: string, cluster: Readonly<Record<string, string>> = {}): Promise<string> {
    const ca = { 'certificate-authority-data': Buffer.from(this.tls.cert).toString('base64') }
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server, ...ca, ...cluster } }],
      users: [{ name: 'u', user: { token: 'marker-kubeconfig-token' } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'plant-a' } }],
      'current-context': 'x',
    }
    return await this.file('kubeconfig', JSON.stringify(config))
  }

  /** Runs a command. @returns the command line, the exit code and the output, with ports and folders replaced */
  async run(argv: readonly string[], given: Run = {}): Promise<string> {
    const { environment = {}, isWaiting = false, kubeconfig, statusLine, stdin = '' } = given
    let [stdout, stderr] = ['', '']
    const surroundings = { ...environment, ...(kubeconfig === undefined ? {} : { KUBECONFIG: kubeconfig }) }
    const result = runProgram(argv, {
      environment: surroundings,
      clock: this.clock,
      random: () => 0.5,
      stdin: Readable.from([stdin]),
      openApiServer: (flags) => {
        if (kubeconfig !== undefined || flags.kubeconfig !== undefined) {
          return openApiServer({ clock: this.clock, environment: surroundings }, flags)
        }
        return {
          // The commands call no other methods.
          client: this.api as unknown as KubernetesClient,
          currentNamespace: 'plant-a',
          url: 'https://api.example.com',
          origin: 'the kubeconfig /home/me/.kube/config',
          close: () => Promise.resolve(),
        }
      },
      print: (text) => void (stdout += text),
      outputClosed: new AbortController().signal,
      printError: (text) => void (stderr += text),
      statusLine,
      signal: new AbortController().signal,
    })
    const code = await this.#moveUntil(result, isWaiting ? stepMs.waiting : stepMs.usual)
    const lines = [`$ enos-credential-operator ${argv.join(' ')}`, stdout, stderr, `[exit code ${code}]`]
    return this.#hide(lines.filter((line) => line !== '').join('\n'))
  }

  async close(): Promise<void> {
    for (const close of this.#closes.splice(0).reverse()) await close()
  }

  async #moveUntil(result: Promise<number>, ms: number): Promise<number> {
    const state = { isDone: false }
    const onDone = (): void => {
      state.isDone = true
    }
    result.then(onDone, onDone)
    for (let step = 0; step < maxSteps; step++) {
      await new Promise((resolve) => setTimeout(resolve, 1))
      // Narrowing does not see that the promise changes it.
      if (state.isDone) return await result
      await this.clock.advance(ms)
    }
    throw new Error('the command does not end')
  }

  #hide(text: string): string {
    let hidden = text.replaceAll(/(127\.0\.0\.1|localhost):\d{5}/g, '$1:PORT')
    for (const [what, by] of this.#hidden) hidden = hidden.replaceAll(what, by)
    return hidden
  }
}
