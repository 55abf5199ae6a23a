import { parseDuration } from '../src/lib/duration.ts'
import { SystemClock } from '../src/lib/clock.ts'
import { startCluster } from '../test/control-plane/cluster.ts'
import { runDemo } from './demo.ts'
import { Terminal } from './terminal.ts'

/**
 * `make demo`. FOR=60s: ends by itself after so long. Exit code 0: no target held an expired token at any sample and
 * everything recovered; 1: something did not; 2: FOR cannot be read.
 */

const shortestMs = 40_000

/** @returns ms; undefined: until Ctrl-C; null: the text is no duration that will do */
function readDuration(text: string): number | undefined | null {
  if (text === '') return undefined
  const ms = /^([0-9]+(ms|s|m|h))+$/.test(text) ? parseDuration(text) : 0
  return ms >= shortestMs ? ms : null
}

async function main(): Promise<number> {
  const durationMs = readDuration(process.env['FOR'] ?? '')
  if (durationMs === null) {
    process.stderr.write(
      `demo: FOR=${process.env['FOR']}: expected a duration of ${shortestMs / 1000}s or more, like 60s\n`,
    )
    return 2
  }
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error(name)))

  const terminal = new Terminal(process.stdout, process.env['NO_COLOR'] === undefined)
  const cluster = await startCluster({ environment: process.env, log: (line) => terminal.say(line) })
  try {
    stop.signal.throwIfAborted()
    terminal.say(`to look around in another terminal: export KUBECONFIG=${cluster.kubeconfig}`)
    const isGood = await runDemo({ cluster, clock: new SystemClock(), terminal, durationMs, signal: stop.signal })
    return isGood ? 0 : 1
  } catch (error) {
    if (!stop.signal.aborted) throw error
    return durationMs === undefined ? 0 : 1
  } finally {
    await cluster.stop()
  }
}

process.exit(await main())
