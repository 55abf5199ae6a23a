import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface ListenerOptions {
  readonly host: string
  /** 0 picks a free one, which every later `open` uses again. */
  readonly port: number
  /** More are dropped. */
  readonly maxConnections: number
}

/** Opens and closes the port of a server; closing cuts all connections. */
export class Listener {
  readonly #server: Server
  readonly #host: string
  /** The open connections, at most `maxConnections`. */
  readonly #sockets = new Set<Socket>()
  #port: number
  #isEnded = false
  /** The last change; the next one waits for its end. */
  #change: Promise<void> = Promise.resolve()

  constructor(server: Server, { host, maxConnections, port }: ListenerOptions) {
    server.maxConnections = maxConnections
    this.#server = server
    this.#host = host
    this.#port = port
    // The server itself lists a connection only after its TLS handshake.
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  get port(): number {
    return this.#port
  }

  /** Rejects when the port is not available. Does nothing while listening, and after `end`. */
  open(): Promise<void> {
    return this.#next(async () => {
      if (this.#server.listening || this.#isEnded) return
      this.#server.listen(this.#port, this.#host)
      await once(this.#server, 'listening')
      this.#port = (this.#server.address() as AddressInfo).port
    })
  }

  /** Refuses new connections and cuts the open ones. */
  close(): Promise<void> {
    return this.#next(async () => {
      if (!this.#server.listening) return
      const closed = once(this.#server, 'close')
      this.#server.close()
      for (const socket of this.#sockets) socket.destroy()
      await closed
    })
  }

  /** Closes for good. */
  end(): Promise<void> {
    this.#isEnded = true
    return this.close()
  }

  #next(change: () => Promise<void>): Promise<void> {
    const done = this.#change.then(change)
    this.#change = done.catch(() => {
      // The caller gets the error; the next change starts from the present state.
    })
    return done
  }
}
