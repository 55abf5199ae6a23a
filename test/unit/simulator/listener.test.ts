import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { Listener } from '../../../simulator/listener.ts'

const clients: Socket[] = []
let listener: Listener

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await listener.end()
})

/** @returns whether the server keeps the connection; a dropped one closes at once */
function open(): Promise<boolean> {
  const client = connect(listener.port, '127.0.0.1')
  clients.push(client)
  return new Promise((resolve) => {
    client.once('close', () => resolve(false))
    client.on('error', () => {
      // A drop may surface as a reset; the close event follows.
    })
    client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    client.once('data', () => resolve(true))
  })
}

describe('Listener', () => {
  it('keeps at most maxConnections open, and accepts again after one has closed', async () => {
    const server = createServer((_, response) => response.end('ok'))
    listener = new Listener(server, { host: '127.0.0.1', port: 0, maxConnections: 2 })
    await listener.open()
    expect([await open(), await open(), await open()]).toEqual([true, true, false])
    clients[0]?.destroy()
    await expect.poll(open).toBe(true)
  })
})
