import { createSecureContext } from 'node:tls'
import { loadApplications } from './applications.ts'
import { type Arguments, parseArguments, UsageError } from './arguments.ts'
import { readTextFile } from './json-input.ts'
import { loadRequiredHeaders } from './required-headers.ts'
import { type Simulator, type SimulatorOptions, startSimulator } from './server.ts'
import type { MissingRefresh } from './token-service.ts'

async function main(): Promise<void> {
  const options = parseArguments(process.argv.slice(2))
  if (options === undefined) return
  const applications = loadApplications(options, process.env)
  const simulator = await listening(options, {
    host: options.host,
    port: options.port,
    basePath: options.basePath,
    tls: loadTls(options),
    latencyMs: options.latency,
    hasAdmin: options.admin,
    requiredHeaders: loadRequiredHeaders(options, process.env),
    maxSkewMs: options.clockWindow,
    applications: applications.list,
    appSecretOf: options.anyApplication === true ? (appKey) => `secret-of-${appKey}` : undefined,
    lifetimeSeconds: options.lifetime,
    missingRefresh: missingRefreshOf(options),
    doesRefreshProlong: options.refresh !== 'no-prolong',
    doesRefreshKillOld: options.refresh === 'kills-old',
    doesRefreshChangeToken: options.refresh !== 'same-token',
    edition: options.edge === true ? 'edge' : 'cloud',
  })
  closeOnSignal(simulator)
  const printed = options.printApplications === true ? { applications: applications.generated } : {}
  process.stdout.write(`${JSON.stringify({ url: simulator.url, ...printed })}\n`)
}

/** Node's own error names no flag. */
async function listening({ host, port }: Arguments, options: SimulatorOptions): Promise<Simulator> {
  try {
    return await startSimulator(options)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    const words: Readonly<Record<string, string>> = {
      EADDRINUSE: `--port ${port}: the port is in use; stop the other process, or give another port (0: any free one)`,
      EACCES: `--port ${port}: the port needs privileges; give one from 1024`,
      EADDRNOTAVAIL: `--host ${host}: this machine does not have the address`,
      ENOTFOUND: `--host ${host}: unknown host`,
    }
    const known = words[code]
    throw known === undefined ? error : new Error(`${known} (${code})`)
  }
}

function missingRefreshOf({ refresh }: Arguments): MissingRefresh | undefined {
  if (refresh === 'missing') return 'http404'
  if (refresh === 'missing-405') return 'http405'
  return refresh === 'missing-status' ? 'status404' : undefined
}

function loadTls({ tlsCert, tlsKey }: Arguments): { cert: string; key: string } | undefined {
  if (tlsCert === undefined || tlsKey === undefined) return undefined
  const tls = { cert: readTextFile(tlsCert, '--tls-cert'), key: readTextFile(tlsKey, '--tls-key') }
  try {
    createSecureContext(tls)
  } catch {
    // The message of OpenSSL names neither the file nor the cause.
    throw new UsageError(`${tlsCert} and ${tlsKey}: expected a PEM certificate and its PEM key`)
  }
  return tls
}

function closeOnSignal(simulator: Simulator): void {
  const close = (): void => {
    // Without open connections nothing keeps the process alive: it exits with 0.
    simulator.close().catch(fail)
  }
  process.once('SIGTERM', close)
  process.once('SIGINT', close)
}

function fail(error: unknown): void {
  const message = error instanceof Error ? error.message : 'failed'
  process.stderr.write(`enos-gateway-simulator: ${message}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}

process.stdout.on('error', () => {
  // A closed standard output does not stop the simulator.
})
await main().catch(fail)
