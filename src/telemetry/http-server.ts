import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { BindAddress } from '../config/flags.ts'
import type { Log } from '../lib/log.ts'

export interface HttpAnswer {
  readonly status: number
  readonly contentType?: string
  readonly body: string
}

/** Handlers of GET requests, by path. */
export type Routes = Readonly<Record<string, () => Promise<HttpAnswer> | HttpAnswer>>

export interface HttpServerOptions {
  readonly address: BindAddress
  readonly routes: Routes
  readonly log: Log
}

export interface HttpServer {
  /** The port that was bound. */
  readonly port: number
  close(): Promise<void>
}

/**
 * Serves GET and HEAD requests on fixed paths. A route that throws answers 500; its error is logged, and never sent.
 *
 * @throws the error of listening, such as EADDRINUSE
 */
export async function startHttpServer({ address, routes, log }: HttpServerOptions): Promise<HttpServer> {
  /** The last failure of each failing route, so bounded by the routes: one line for each kind of failure, not for each scrape. */
  const failures = new Map<string, string>()
  const answer = async (method: string | undefined, path: string): Promise<HttpAnswer> => {
    const route = method === 'GET' || method === 'HEAD' ? routes[path] : undefined
    if (route === undefined) return { status: 404, body: 'not found\n' }
    try {
      const answered = await route()
      failures.delete(path)
      return answered
    } catch (error) {
      const failure = error instanceof Error ? `${error.name}: ${error.message}` : typeof error
      if (failures.get(path) !== failure) log.error({ route: path, err: error }, 'route failed')
      failures.set(path, failure)
      return { status: 500, body: 'internal error\n' }
    }
  }
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5000 }, (request, response) => {
    const [path = ''] = (request.url ?? '').split('?')
    answer(request.method, path)
      .then(({ body, contentType = 'text/plain; charset=utf-8', status }) => {
        response.writeHead(status, { 'content-type': contentType, 'x-content-type-options': 'nosniff' })
        response.end(request.method === 'HEAD' ? undefined : body)
      })
      .catch(() => {
        // The client went away before the answer was written.
        response.destroy()
      })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(address.port, address.host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
