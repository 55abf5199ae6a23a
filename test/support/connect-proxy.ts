import { createServer, type Server } from 'node:http'
import { connect } from 'node:net'
import { Listener } from '../../simulator/listener.ts'
import { freePort } from './free-port.ts'

/** An HTTP proxy on loopback that opens tunnels (CONNECT). */
export class ConnectProxy {
  /** `host:port` of each tunnel, in order. */
  readonly tunnels: string[] = []
  readonly #listener: Listener

  private constructor(server: Server, port: number) {
    this.#listener = new Listener(server, { host: '127.0.0.1', port, maxConnections: 100 })
    server.on('connect', (request, socket, head) => {
      const target = request.url ?? ''
      this.tunnels.push(target)
      const [host = '', port = ''] = target.split(':')
      const upstream = connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
        upstream.write(head)
        upstream.pipe(socket).pipe(upstream)
      })
      for (const [one, other] of [
        [upstream, socket],
        [socket, upstream],
      ] as const) {
        one.on('error', () => other.destroy())
        one.on('close', () => other.destroy())
      }
    })
  }

  static async start(): Promise<ConnectProxy> {
    const proxy = new ConnectProxy(createServer(), await freePort())
    await proxy.#listener.open()
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.port}`
  }

  /** True cuts all tunnels and refuses new connections; false listens again on the same port. */
  async setOutage(isOut: boolean): Promise<void> {
    await (isOut ? this.#listener.close() : this.#listener.open())
  }

  async close(): Promise<void> {
    await this.#listener.close()
  }
}
