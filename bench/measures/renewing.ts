import { setTimeout as delay } from 'node:timers/promises'
import type { Bench } from '../bench.ts'
import { createCredential } from '../fixtures.ts'
import { Gateway } from '../gateway.ts'
import { Operator, type OperatorOptions } from '../operator.ts'

const lifetimeSeconds = 200
/** Tokens of this life are renewed after half of it. */
const renewedAfterSeconds = lifetimeSeconds / 2

export interface Renewing {
  readonly operator: Operator
  /** Stops the operator and its gateway. */
  readonly end: () => Promise<void>
}

/** Starts an operator that renews so many tokens a second, evenly spread. */
export async function startRenewing(
  { api, fixtures, operator: defaults }: Bench,
  perSecond: number,
  options: Partial<OperatorOptions> = {},
): Promise<Renewing> {
  const resources = perSecond * renewedAfterSeconds
  const gateway = await Gateway.start({ lifetimeSeconds })
  const { namespace } = await fixtures.create({ gatewayUrl: gateway.url, count: 0 })
  const operator = new Operator({ ...defaults, args: ['--no-leader-elect', '--namespace', namespace], ...options })
  await operator.idle()
  const startedAt = performance.now()
  const creations: Promise<unknown>[] = []
  for (let at = 0; at < resources; at++) {
    const aheadMs = startedAt + (at / perSecond) * 1000 - performance.now()
    if (aheadMs > 0) await delay(aheadMs)
    const name = `credential-${at}`
    creations.push(createCredential(api, namespace, { name, appKey: `${namespace}-${at}` }, gateway.url))
  }
  await Promise.all(creations)
  return {
    operator,
    end: async () => {
      await operator.stop()
      await gateway.stop()
    },
  }
}
