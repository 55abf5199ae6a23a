import { setTimeout as delay } from 'node:timers/promises'
import { type Bench, runFirstSync } from '../bench.ts'
import { Gateway } from '../gateway.ts'
import { MemoryLimit } from '../memory-limit.ts'
import { sumOf } from '../operator.ts'
import { mebibytes, type Row } from '../row.ts'
import { scrapeFor } from './resident.ts'

const limitMiB = 256
const resources = 10_000
const foreignSecrets = 20_000
/** Each token is renewed once while the operator is watched. */
const lifetimeSeconds = 240
const watchedMs = 150_000

/** The memory limit of the default install, with 10,000 resources and 20,000 foreign Secrets. */
export async function measureLimit(bench: Bench): Promise<Row[]> {
  const { fixtures } = bench
  const limit = await MemoryLimit.create(limitMiB * 1024 * 1024)
  const gateway = await Gateway.start({ lifetimeSeconds })
  await fixtures.createForeignSecrets(foreignSecrets)
  const set = await fixtures.create({ gatewayUrl: gateway.url, count: resources })
  const limited = { ...bench, operator: { ...bench.operator, nodeArgs: limit.nodeArgs } }
  let seen: string
  let isReached = false
  try {
    const { operator } = await runFirstSync(limited, set, gateway)
    await scrapeFor(operator, watchedMs)
    const renewals = sumOf(await operator.metrics(), 'enos_credential_renewal_headroom_seconds_count')
    seen = `${renewals} renewals, at most ${mebibytes(await limit.maxMiB())} with the kernel's cache of files`
    isReached = renewals >= resources
    await operator.stop()
  } catch (error) {
    seen = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
  }
  await gateway.stop()
  // The group can be removed once the kernel has let the process go.
  await delay(1000)
  await limit.remove()
  return [
    {
      measure: `10,000 and 20,000 foreign Secrets in the default install's limit, ${limitMiB} MiB`,
      reach: 'first sync, each renewed, scraped',
      seen,
      isReached,
    },
  ]
}
