import { forEachPaced } from '../api.ts'
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
  const all = Array.from({ length: resources }, (_, at) => {
    return { name: `credential-${at}`, appKey: `${namespace}-${at}` }
  })
  await forEachPaced(perSecond, all, (one) => createCredential(api, namespace, one, gateway.url))
  return {
    operator,
    end: async () => {
      await operator.stop()
      await gateway.stop()
    },
  }
}
