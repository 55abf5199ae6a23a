import { SystemClock } from '../src/lib/clock.ts'
import { parseDuration } from '../src/lib/duration.ts'
import { startCluster } from '../test/control-plane/cluster.ts'
import { runDemo } from './demo.ts'
import { shortestMs } from './scenario.ts'
import { Terminal } from './terminal.ts'

/**
 * `make demo`. FOR=60s: ends by itself after so long; without it: at Ctrl-C. Exit code 0: no target held an expired
 * token at any sample and everything recovered; 1: something did not; 2: FOR cannot be read.
 */
async function main(): Promise<number> {
  let durationMs: number | undefined
  try {
    durationMs = readDuration(process.env['FOR'] ?? '')
  } catch (error) {
    process.stderr.write(`demo: FOR: ${messageOf(error)}\n`)
    return 2
  }
  const stop = stopSignal()
  const terminal = new Terminal(process.stdout, process.env['NO_COLOR'] === undefined)
  try {
    await using cleanup = new AsyncDisposableStack()
    // Ctrl-C does not wait for the start: when this process exits, what has been started ends with it.
    const starting = startCluster({ environment: process.env, log: (line) => terminal.say(line) })
    const cluster = await Promise.race([starting, rejectionOf(stop)])
    cleanup.defer(() => cluster.stop())
    terminal.say('to look around from another terminal:')
    terminal.say(`  export KUBECONFIG=${cluster.kubeconfig}`)
    const isGood = await runDemo({ cluster, clock: new SystemClock(), terminal, durationMs, signal: stop })
    return isGood ? 0 : 1
  } catch (error) {
    process.stderr.write(`demo: ${stop.aborted ? 'interrupted' : messageOf(error)}\n`)
    return stop.aborted && durationMs === undefined ? 0 : 1
  }
}

/** @returns ms; undefined: until Ctrl-C. @throws RangeError */
function readDuration(text: string): number | undefined {
  if (text === '') return undefined
  const ms = parseDuration(text)
  if (ms < shortestMs)
    throw new RangeError(`${text} is too short for the faults: expected ${shortestMs / 1000}s or more`)
  return ms
}

/** Aborts on Ctrl-C, on SIGTERM, and when nobody reads what is printed any more. */
function stopSignal(): AbortSignal {
  const stop = new AbortController()
  // Stays in place: where no handler is left while a signal is handled, the control plane's processes end this one.
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      // Somebody does not want to wait.
      if (stop.signal.aborted) process.exit(1)
      stop.abort(new Error(name))
    })
  }
  process.stdout.on('error', (error) => stop.abort(error))
  return stop.signal
}

/** Rejects when the signal aborts. */
function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

process.exit(await main())
