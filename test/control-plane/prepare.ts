import { constants, setPriority } from 'node:os'
import { findAssets } from './assets.ts'

// Run beside lint and unit tests, some of which measure time: the build takes only the CPU that they leave.
setPriority(constants.priority.PRIORITY_LOW)

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())

try {
  await findAssets({ environment: process.env, log: (line) => process.stdout.write(`${line}\n`), signal: stop.signal })
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
