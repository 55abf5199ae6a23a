import { setTimeout as delay } from 'node:timers/promises'
import { type Bench, runFirstSync } from '../bench.ts'
import { createCredential, type Fixture, type FixtureSet, secretsIn } from '../fixtures.ts'
import { MinimalSync } from '../minimal-sync.ts'
import { atMost, atMostTimes, count, milliseconds, quantile, type Row } from '../row.ts'
import { SecretWatch } from '../watches.ts'

const samples = 100
/** Before each sample, of the floor too: the operator writes status and event of the one before after its target. */
const restMs = 50
const loss = { method: 'PATCH', body: { data: { accessToken: 'eA==' } } } as const

/** One resource at a time: from its creation to its target, and from the loss of a target to its repair. */
export async function measureLatency(bench: Bench): Promise<Row[]> {
  const { api, fixtures, gateway } = bench
  const minimal = new MinimalSync(api, gateway.url)
  const set = await fixtures.create({ gatewayUrl: gateway.url, count: samples })
  const { operator } = await runFirstSync(bench, set)
  await operator.idle()
  const repairs = await measureRepairs(bench, set)
  const creations = await measureCreations(bench, set.namespace, () => Promise.resolve())
  await operator.stop()
  const floorCreations = await measureCreations(bench, set.namespace, (fixture) =>
    minimal.writeTarget(set.namespace, fixture),
  )
  const floorRepairs = await measureFloorRepairs(bench, set, minimal)
  await minimal.close()
  const [creation, repair] = ['from creation to Secret, idle', 'altered or deleted target repaired']
  return [
    ...([0.5, 0.99] as const).map((share) =>
      atMostTimes(share === 0.5 ? 2 : 5, quantile(floorCreations, share), {
        measure: `${creation}, p${share * 100}`,
        seen: quantile(creations, share),
        format: milliseconds,
      }),
    ),
    atMostTimes(2, quantile(floorRepairs, 0.5), {
      measure: `${repair}, p50`,
      seen: quantile(repairs.timesMs, 0.5),
      format: milliseconds,
    }),
    atMost(0, { measure: `${repair}: calls to the gateway`, seen: repairs.calls, format: count }),
  ]
}

/** @param work done after the creation @returns for each the time until its target exists, ms */
async function measureCreations(
  { api, gateway }: Bench,
  namespace: string,
  work: (fixture: Fixture) => Promise<unknown>,
): Promise<number[]> {
  const watch = await SecretWatch.start(api, namespace)
  const times: number[] = []
  for (let sample = 0; sample < samples; sample++) {
    await delay(restMs)
    const appKey = `created-${performance.now()}`
    const fixture = { name: appKey.replace('.', '-'), appKey }
    const created = watch.next('ADDED', `${fixture.name}-token`)
    const startedAt = performance.now()
    await work(await createCredential(api, namespace, fixture, gateway.url))
    times.push((await created) - startedAt)
  }
  watch.stop()
  return times
}

/** Deletes and alters targets in turn, each another one. */
async function measureRepairs(
  { api, gateway }: Bench,
  { fixtures, namespace }: FixtureSet,
): Promise<{ timesMs: number[]; calls: number }> {
  const watch = await SecretWatch.start(api, namespace)
  const from = await gateway.now()
  const timesMs: number[] = []
  for (const [index, { targetName }] of fixtures.entries()) {
    await delay(restMs)
    const path = `${secretsIn(namespace)}/${targetName}`
    const isDeleted = index % 2 === 0
    const repaired = isDeleted ? watch.next('ADDED', targetName) : watch.next('MODIFIED', targetName, 2)
    const startedAt = performance.now()
    await api.json(
      path,
      isDeleted ? { method: 'DELETE' } : { method: 'PATCH', body: { data: { accessToken: 'eA==' } } },
    )
    timesMs.push((await repaired) - startedAt)
  }
  watch.stop()
  return { timesMs, calls: (await gateway.callsSince(from)).length }
}

/** The floor of a repair, as soon as the loss shows: a POST; or a GET, for a watch of metadata shows no data, and a PATCH. */
async function measureFloorRepairs(
  { api }: Bench,
  { fixtures, namespace }: FixtureSet,
  minimal: MinimalSync,
): Promise<number[]> {
  const watch = await SecretWatch.start(api, namespace)
  const token = { accessToken: 'x'.repeat(64), expire: 7200 }
  const timesMs: number[] = []
  for (const [index, fixture] of fixtures.entries()) {
    await delay(restMs)
    const { targetName } = fixture
    const path = `${secretsIn(namespace)}/${targetName}`
    const isDeleted = index % 2 === 0
    const lost = watch.next(isDeleted ? 'DELETED' : 'MODIFIED', targetName)
    const startedAt = performance.now()
    const done = api.json(path, isDeleted ? { method: 'DELETE' } : loss)
    await lost
    const repaired = watch.next(isDeleted ? 'ADDED' : 'MODIFIED', targetName)
    if (!isDeleted) await api.json(path)
    await (isDeleted ? minimal.createTarget(namespace, fixture, token) : minimal.patchTarget(namespace, fixture, token))
    timesMs.push((await repaired) - startedAt)
    await done
  }
  watch.stop()
  return timesMs
}
