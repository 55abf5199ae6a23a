import type { FloorRun, RestartFloor, RestartRun, SyncRun } from './measure.ts'

export interface Results {
  readonly resources: number
  /** Measured before the first sync and after it: the machine may have become faster or slower meanwhile. */
  readonly floors: readonly FloorRun[]
  readonly sync: SyncRun
  readonly restart: RestartRun
  readonly restartFloor: RestartFloor
  readonly repairsMs: readonly number[]
  readonly repairFloorsMs: readonly number[]
  readonly shared: SyncRun
  readonly sharedResources: number
}

export interface Surroundings {
  readonly node: string
  readonly apiServer: string
  readonly processor: string
  readonly cores: number
}

/** What must be so, however fast the machine is. */
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

/** The measurements as tables. */
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
    row('the same, without the start', perSecond, sync.workingSyncsPerSecond, floor.syncsPerSecond),
    row(
      `${sharedResources} that share one application, without the start`,
      perSecond,
      shared.workingSyncsPerSecond,
      floor.syncsPerSecond,
    ),
    row('CPU time for each sync', ms, sync.cpuMsPerSync, floor.cpuMsPerSync),
    row('largest RSS during the first sync', mebibytes, sync.peakRssMiB, floor.peakRssMiB),
    row(`restart with ${resources} in order: caches complete`, ms, restart.syncedMs, restartFloor.elapsedMs),
    row('restart: at rest', ms, restart.idleMs, restartFloor.elapsedMs),
    row('restart: RSS at rest', mebibytes, restart.rssMiB, restartFloor.rssMiB),
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

/** The page that `--write` writes. */
export function page(results: Results, { apiServer, cores, node, processor }: Surroundings): string {
  const spread = results.floors.map((run) => perSecond(run.syncsPerSecond)).join(' before and ')
  return `<!-- Written by bench/main.ts. Do not edit. -->

# Performance

A time says as much about the machine as about the operator. So everything here is measured against a floor: the least
that could do the same, in the same run, against the same servers. Times are the run's own; the last column is what
compares.

${tables(results)}
## What was measured

- **First sync**: ${results.resources} resources, each with its own application and source Secret, are there before the operator starts.
  Measured until a watch has seen all of them Ready. A sync is five requests: source Secret, token, target, status, and
  an event; beside them the operator keeps its watches. The floor is a bare loop over the first four of them, 32 at
  a time, with undici over one HTTP/2 connection; its own start is not counted. It ran twice: ${spread} after.
  Where the API server is what limits both, CPU time says more than the rate.
- **One application**: ${results.sharedResources} resources with the same appKey, beside those that are in order.
- **Restart**: until caches are complete, and until all queues are empty. Then the operator is watched for two seconds
  more; it must not have called the gateway or written anything. The floor is an empty Node process and the two lists
  (by a connection that is there already).
- **Repair**: from a watch's seeing the target gone until it sees it back. After a restart the operator holds no token, so
  one call to the gateway is part of it. The floor is the same by a bare client: source Secret, token, target.
- **RSS** is that of the whole process, Node's own included. **CPU time** is the operator's until all were Ready, its start
  included, and that of the floor's loop.

## On what

Node ${node}, Kubernetes ${apiServer}, ${cores} cores (${processor}), which the operator shares with etcd, the API server,
the simulated gateway and the measuring process.

## Again

\`\`\`sh
make bench
node bench/main.ts --resources 1000 --write docs/performance.md
\`\`\`

With \`--admin-kubeconfig\` and \`--operator-kubeconfig\` it measures a cluster that runs already: CRD and roles installed, no
other operator working there. \`--profile <directory>\` has the operator write CPU profiles.
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
