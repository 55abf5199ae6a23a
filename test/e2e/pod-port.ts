import { createServer } from 'node:net'

let next = 25_800

/** A free port on this host, below the ports that Linux gives to clients: a restarted pod finds it free again. */
export async function podPort(): Promise<number> {
  for (; next < 26_800; next++) {
    if (await isFree(next)) return next++
  }
  throw new Error('no port from 25800 to 26799 is free')
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return await new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
