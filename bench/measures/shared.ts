import { enosV1alpha1 } from '../api.ts'
import { type Bench, runFirstSync } from '../bench.ts'
import { atMost, count, type Row, seconds } from '../row.ts'
import { SecretWatch } from '../watches.ts'

const resources = 1000

/** 1,000 resources of one application: one call, and how soon a renewal is on all of them. */
export async function measureShared(bench: Bench): Promise<Row[]> {
  const { api, fixtures, gateway } = bench
  const set = await fixtures.create({ gatewayUrl: gateway.url, count: resources, isShared: true })
  const { calls, operator } = await runFirstSync(bench, set)
  await operator.idle()
  const watch = await SecretWatch.start(api, set.namespace)
  const from = await gateway.now()
  const renewed = set.fixtures.map(({ targetName }) => watch.next('MODIFIED', targetName))
  await api.json(`${enosV1alpha1}/namespaces/${set.namespace}/enosappcredentials/${set.fixtures[0]?.name ?? ''}`, {
    method: 'PATCH',
    body: { metadata: { annotations: { 'enos.io/renew-requested-at': 'now' } } },
  })
  const lastAt = Math.max(...(await Promise.all(renewed)))
  watch.stop()
  // Get, then refresh, whose reply has the new token.
  const repliedAt = Math.max(...(await gateway.callsSince(from))) - performance.timeOrigin
  await operator.stop()
  const measure = '1,000 resources of one application'
  return [
    atMost(1, { measure: `${measure}: calls`, seen: calls, format: count }),
    atMost(2, {
      measure: `${measure}: renewal on the last target after the reply`,
      seen: (lastAt - repliedAt) / 1000,
      format: seconds,
    }),
  ]
}
