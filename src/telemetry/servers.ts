import type { BindAddress } from '../config/flags.ts'
import type { RunConfig } from '../config/run-config.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { type HttpServer, type HttpServerOptions, type Routes, startHttpServer } from './http-server.ts'
import { MetricsCertificate } from './metrics-certificate.ts'

export interface ServersOptions {
  readonly config: Pick<RunConfig, 'healthProbeBindAddress' | 'metricsBindAddress' | 'metricsTls'>
  readonly clock: Pick<Clock, 'setTimer'>
  readonly log: Log
  readonly routes: { readonly metrics: Routes; readonly probes: Routes }
}

/** Starts the servers of metrics and probes, each on an address of its own. */
export async function startServers({ clock, config, log, routes }: ServersOptions): Promise<HttpServer[]> {
  const servers: HttpServer[] = []
  const serve = async (
    what: keyof ServersOptions['routes'],
    address: BindAddress | undefined,
    certificate?: HttpServerOptions['certificate'],
  ): Promise<void> => {
    if (address === undefined) return
    const server = await startHttpServer({ address, routes: routes[what], clock, log, certificate })
    servers.push(server)
    const tls = certificate === undefined ? {} : { tls: true }
    log.info({ serves: what, host: address.host, port: server.port, ...tls }, 'listening')
  }
  const { healthProbeBindAddress, metricsBindAddress, metricsTls: files } = config
  const certificate = files === undefined ? undefined : await MetricsCertificate.load({ files, clock, log })
  await serve('metrics', metricsBindAddress, certificate)
  await serve('probes', healthProbeBindAddress)
  return servers
}
