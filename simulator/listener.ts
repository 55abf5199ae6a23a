import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** A server that can be taken off its port, with all connections cut, and put back on it. */
export class Listener {
  readonly #server: Server
  readonly #host: string
  readonly #sockets = new Set<Socket>()
  #port: number
  #isEnded = false
  /** The change under way; the next one waits for it. */
  #change: Promise<void> = Promise.resolve()

  /** @param port 0 picks a free one, which is then kept */
  constructor(server: Server, host: string, port: number) {
    this.#server = server
    this.#host = host
    this.#port = port
    // The server knows a connection only once its TLS handshake is done; this sees all.
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  get port(): number {
    return this.#port
  }

  /** Rejects where the port cannot be had. Does nothing when listening, or after `end`. */
  open(): Promise<void> {
    return this.#next(async () => {
      if (this.#server.listening || this.#isEnded) return
      this.#server.listen(this.#port, this.#host)
      await once(this.#server, 'listening')
      this.#port = (this.#server.address() as AddressInfo).port
    })
  }

  /** Refuses new connections and cuts those there are. */
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
      // Whoever asked for the change is told; the next one starts from what is now.
    })
    return done
  }
}
