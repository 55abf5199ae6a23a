import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Operator } from '../operator.ts'
import { atMost, milliseconds, quantile, type Row } from '../row.ts'

const starts = 9
const bundle = ['main.js', 'operator.mjs']

/** From the start of the process to the first LIST, which an API server that is down answers, and the size of the bundle. */
export async function measureStart(): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-'))
  let onRequest = (): void => undefined
  const server = createServer((_, response) => {
    onRequest()
    response.writeHead(503).end('{}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const kubeconfig = join(folder, 'kubeconfig')
  await writeFile(kubeconfig, kubeconfigOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
  const times: number[] = []
  for (let start = 0; start < starts; start++) {
    const { promise: listed, resolve } = Promise.withResolvers<undefined>()
    onRequest = () => {
      resolve(undefined)
    }
    const operator = new Operator({ kubeconfig, profile: undefined })
    await listed
    times.push(performance.now() - operator.startedAt)
    operator.kill()
  }
  server.close()
  await rm(folder, { recursive: true })
  const sizes = await Promise.all(bundle.map((file) => stat(new URL(`../../dist/${file}`, import.meta.url))))
  return [
    atMost(400, {
      measure: `start of the process to the first LIST, p50 of ${starts}`,
      seen: quantile(times, 0.5),
      format: milliseconds,
    }),
    atMost(2, {
      measure: 'JavaScript of the bundle',
      seen: sizes.reduce((sum, { size }) => sum + size, 0) / 1e6,
      format: (value) => `${Number(value.toFixed(2))} MB`,
    }),
  ]
}

function kubeconfigOf(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'down', cluster: { server } }],
    contexts: [{ name: 'down', context: { cluster: 'down', user: '' } }],
    'current-context': 'down',
  })
}
