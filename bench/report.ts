import type { FloorRun, RestartFloor, RestartRun, SyncRun } from './measure.ts'

export interface Results {
  readonly resources: number
  /** One run before the first sync and one after it: the speed of the machine may change between them. */
  readonly floors: readonly FloorRun[]
  readonly sync: SyncRun
  readonly restart: RestartRun
  readonly restartFloor: RestartFloor
  readonly repairsMs: readonly number[]
  readonly repairFloorsMs: readonly number[]
  readonly shared: SyncRun
  readonly sharedResources: number
}

export interface Environment {
  readonly node: string
  readonly apiServer: string
  readonly processor: string
  readonly cores: number
}

/** A count that does not depend on the speed of the machine. */
export interface Expectation {
  readonly what: string
  readonly seen: number
  readonly expected: number
}

export function expectations({ resources, restart, shared, sync }: Results): Expectation[] {
  return [
    { what: 'first sync: gateway calls', seen: sync.calls, expected: resources },
    { what: 'restart: gateway calls', seen: restart.calls, expected: 0 },
    { what: 'restart: writes to the API server', seen: restart.writes, expected: 0 },
    { what: 'restart: objects changed', seen: restart.changed, expected: 0 },
    { what: 'one application: gateway calls', seen: shared.calls, expected: 1 },
  ]
}

/** The measurements as Markdown tables. */
export function tables(results: Results): string {
  const { floors, repairFloorsMs, repairsMs, resources, restart, restartFloor, shared, sharedResources, sync } = results
  const floor = {
    syncsPerSecond: mean(floors.map((run) => run.syncsPerSecond)),
    cpuMsPerSync: mean(floors.map((run) => run.cpuMsPerSync)),
    peakRssMiB: mean(floors.map((run) => run.peakRssMiB)),
  }
  const [repair, repairFloor] = [median(repairsMs), median(repairFloorsMs)]
  const measured = [
    row(
      `first sync of ${resources}, from the start of the process`,
      perSecond,
      sync.syncsPerSecond,
      floor.syncsPerSecond,
    ),
    row('first sync, without the start of the process', perSecond, sync.workingSyncsPerSecond, floor.syncsPerSecond),
    row(
      `${sharedResources} that share one application, without the start of the process`,
      perSecond,
      shared.workingSyncsPerSecond,
      floor.syncsPerSecond,
    ),
    row('CPU time for each sync', ms, sync.cpuMsPerSync, floor.cpuMsPerSync),
    row('max RSS during the first sync', mebibytes, sync.peakRssMiB, floor.peakRssMiB),
    row(`restart with ${resources} Ready: caches synced`, ms, restart.syncedMs, restartFloor.elapsedMs),
    row('restart: idle', ms, restart.idleMs, restartFloor.elapsedMs),
    row('restart: RSS when idle', mebibytes, restart.rssMiB, restartFloor.rssMiB),
    row(`repair of a deleted target, p50 of ${repairsMs.length}`, ms, repair, repairFloor),
  ]
  const counted = expectations(results).map(({ expected, seen, what }) => `| ${what} | ${seen} | ${expected} |`)
  return [
    '| measured | operator | floor | operator / floor |',
    '|---|---|---|---|',
    ...measured,
    '',
    '| counted | seen | expected |',
    '|---|---|---|',
    ...counted,
    '',
  ].join('\n')
}

/** The page for `--write`. */
export function page(results: Results, { apiServer, cores, node, processor }: Environment): string {
  const spread = results.floors.map((run) => perSecond(run.syncsPerSecond)).join(' before and ')
  return `<!-- Written by bench/main.ts. Do not edit. -->

# Performance

A time depends on the machine as much as on the operator. Therefore every measurement has a floor: a minimal program with
the same result, in the same run, against the same servers. Compare the ratios of the last column, not the times.

${tables(results)}
## What was measured

- **First sync**: ${results.resources} resources, each with its own application and source Secret, exist before the operator starts.
  The measurement ends when a watch has seen all of them Ready. A sync is five requests: source Secret, token, target,
  status, event; the operator also keeps its watches. The floor is a loop over the first four requests, 32 at a time,
  with undici over one HTTP/2 connection, without the start of its process. The floor ran twice: ${spread} after.
  Where the API server limits both, compare CPU time, not rates.
- **One application**: ${results.sharedResources} resources with the same appKey.
- **Restart**: until the caches have synced, and until all work queues are empty. For two more seconds the operator must
  not call the gateway or write an object. The floor is an empty Node process and the two lists, over an open connection.
- **Repair**: from the DELETED event of a target to its ADDED event. After a restart the operator holds no token, so a
  repair includes one call to the gateway. The floor is a minimal client: source Secret, token, target.
- **RSS** is that of the whole process, Node included. **CPU time** of the operator includes its start and ends when all
  resources are Ready; that of the floor is its loop alone.

## Environment

Node ${node}, Kubernetes ${apiServer}, ${cores} cores (${processor}), shared by the operator, etcd, the API server, the
simulated gateway and the benchmark itself.

## How to repeat

\`\`\`sh
make bench
node bench/main.ts --resources 1000 --write docs/performance.md
\`\`\`

\`--admin-kubeconfig\` and \`--operator-kubeconfig\` measure a running cluster, with CRD and roles installed and without
another operator. \`--profile <directory>\` makes the operator write CPU profiles.
`
}

type Format = (value: number) => string

function row(what: string, format: Format, operator: number, floor: number): string {
  return `| ${what} | ${format(operator)} | ${format(floor)} | ${(operator / floor).toFixed(2)} |`
}

const perSecond: Format = (value) => `${Math.round(value)}/s`
const ms: Format = (value) => (value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`)
const mebibytes: Format = (value) => `${Math.round(value)} MiB`

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2
}
