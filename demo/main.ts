import { SystemClock } from '../src/lib/clock.ts'
import { parseDuration } from '../src/lib/duration.ts'
import { startCluster } from '../test/control-plane/cluster.ts'
import { runDemo } from './demo.ts'
import { minDurationMs } from './scenario.ts'
import { Terminal } from './terminal.ts'

/**
 * `make demo`. FOR=60s sets the duration; without FOR the demo runs until Ctrl-C. Exit code 0: no sample found an
 * expired token, and every fault was repaired; 1: a target or a repair failed; 2: FOR is invalid.
 */
async function main(): Promise<number> {
  let durationMs: number | undefined
  try {
    durationMs = parseFor(process.env['FOR'] ?? '')
  } catch (error) {
    process.stderr.write(`demo: FOR: ${messageOf(error)}\n`)
    return 2
  }
  const stop = stopSignal()
  const terminal = new Terminal(process.stdout, process.env['NO_COLOR'] === undefined)
  try {
    await using cleanup = new AsyncDisposableStack()
    // Ctrl-C does not wait for the start: child processes end with this process.
    const starting = startCluster({ environment: process.env, log: (line) => terminal.print(line) })
    const cluster = await Promise.race([starting, rejectionOf(stop)])
    cleanup.defer(() => cluster.stop())
    terminal.print('to inspect the cluster from another terminal:')
    terminal.print(`  export KUBECONFIG=${cluster.kubeconfig}`)
    const hasPassed = await runDemo({ cluster, clock: new SystemClock(), terminal, durationMs, signal: stop })
    return hasPassed ? 0 : 1
  } catch (error) {
    process.stderr.write(`demo: ${stop.aborted ? 'interrupted' : messageOf(error)}\n`)
    return stop.aborted && durationMs === undefined ? 0 : 1
  }
}

/** @returns ms; undefined: until Ctrl-C. @throws RangeError */
function parseFor(text: string): number | undefined {
  if (text === '') return undefined
  const ms = parseDuration(text)
  if (ms < minDurationMs) {
    throw new RangeError(`expected ${minDurationMs / 1000}s or more, seen ${text}: the faults take that long`)
  }
  return ms
}

/** Aborts on Ctrl-C, on SIGTERM, and when standard output is closed. */
function stopSignal(): AbortSignal {
  const stop = new AbortController()
  // `on`, not `once`: without a handler left, the control plane's own signal handlers would exit this process.
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      // A second signal exits at once.
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
