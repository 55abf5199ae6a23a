import { spawn } from 'node:child_process'
import { chooseCluster, skipReport } from './cluster.ts'
import { clusterSources } from './cluster-sources.ts'

// `make e2e`. The last line counts the tests; without a cluster it says that they were skipped.
const log = (line: string): void => void process.stdout.write(`${line}\n`)
const chosen = await chooseCluster(clusterSources({ environment: process.env, log }))
if ('reasons' in chosen) {
  process.stdout.write(skipReport(chosen.reasons))
} else {
  const child = spawn('vitest', ['run', '--project', 'e2e', ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal))
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 1))
  })
}
