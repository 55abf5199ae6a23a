import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { BindAddress } from '../config/flags.ts'

export interface HttpAnswer {
  readonly status: number
  readonly contentType?: string
  readonly body: string
}

/** What is answered to GET, by path. */
export type Routes = Readonly<Record<string, () => Promise<HttpAnswer> | HttpAnswer>>

export interface HttpServer {
  /** The port that was bound. */
  readonly port: number
  close(): Promise<void>
}

/** Serves GET requests on fixed paths. @throws the error of listening, such as EADDRINUSE */
export async function startHttpServer({ host, port }: BindAddress, routes: Routes): Promise<HttpServer> {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5000 }, (request, response) => {
    const [path = ''] = (request.url ?? '').split('?')
    const route = request.method === 'GET' || request.method === 'HEAD' ? routes[path] : undefined
    const answer = async (): Promise<HttpAnswer> =>
      route === undefined ? { status: 404, body: 'not found\n' } : await route()
    answer()
      .catch((): HttpAnswer => ({ status: 500, body: 'internal error\n' }))
      .then(({ body, contentType = 'text/plain; charset=utf-8', status }) => {
        response.writeHead(status, { 'content-type': contentType, 'x-content-type-options': 'nosniff' })
        response.end(request.method === 'HEAD' ? undefined : body)
      })
      .catch(() => {
        // The client went away while it was being answered.
        response.destroy()
      })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
