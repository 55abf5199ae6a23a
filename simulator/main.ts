import { createSecureContext } from 'node:tls'
import { readApplications, readText } from './applications.ts'
import { type Arguments, readArguments, UsageError } from './arguments.ts'
import { type Simulator, startSimulator } from './server.ts'

async function main(): Promise<void> {
  const options = readArguments(process.argv.slice(2))
  if (options === undefined) return
  const applications = readApplications(options, process.env)
  const simulator = await startSimulator({
    host: options.host,
    port: options.port,
    basePath: options.basePath,
    tls: readTls(options),
    latencyMs: options.latency,
    hasAdmin: options.admin,
    applications: applications.list,
    appSecretOf: options.anyApplication === true ? (appKey) => `secret-of-${appKey}` : undefined,
    lifetimeSeconds: options.lifetime,
    hasRefresh: options.refresh !== 'missing',
    doesRefreshKillOld: options.refresh === 'kills-old',
    doesRefreshChangeToken: options.refresh !== 'same-token',
    edition: options.edge === true ? 'edge' : 'cloud',
  })
  endOnSignal(simulator)
  const printed = options.printApplications === true ? { applications: applications.generated } : {}
  process.stdout.write(`${JSON.stringify({ url: simulator.url, ...printed })}\n`)
}

function readTls({ tlsCert, tlsKey }: Arguments): { cert: string; key: string } | undefined {
  if (tlsCert === undefined || tlsKey === undefined) return undefined
  const tls = { cert: readText(tlsCert, '--tls-cert'), key: readText(tlsKey, '--tls-key') }
  try {
    createSecureContext(tls)
  } catch {
    // What OpenSSL says of it helps nobody.
    throw new UsageError(`${tlsCert} and ${tlsKey}: not a PEM certificate and its PEM key`)
  }
  return tls
}

function endOnSignal(simulator: Simulator): void {
  const end = (): void => {
    // With its connections cut nothing keeps the process, which then ends with 0.
    simulator.close().catch(fail)
  }
  process.once('SIGTERM', end)
  process.once('SIGINT', end)
}

function fail(error: unknown): void {
  const message = error instanceof Error ? error.message : 'failed'
  process.stderr.write(`enos-gateway-simulator: ${message}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}

process.stdout.on('error', () => {
  // Whoever started the simulator need not read on; it serves all the same.
})
await main().catch(fail)
