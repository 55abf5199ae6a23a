import { expect, it, onTestFinished } from 'vitest'
import { annotations } from '../../../src/api/v1alpha1/names.ts'
import { credentials, secrets } from '../../../src/kubernetes/types.ts'
import { sleep } from '../../../src/lib/clock.ts'
import type { ApiCall } from '../../support/memory-api.ts'
import { namespace, OperatorWorld } from './operator-world.ts'

const slowGateway = 'https://slow.example.com'
const slowMs = 20_000

/** An operator with four workers, at an API server that takes 200 ms for each call. */
async function setUp() {
  const world = new OperatorWorld()
  const { answer } = world.gateway
  const gateway = { latencyMs: 0 }
  world.api.latencyMs = () => 100
  world.gateway.answer = async (operation, request) => {
    await sleep(world.clock, request.gatewayUrl === slowGateway ? slowMs : gateway.latencyMs)
    return await answer(operation, request)
  }
  const operator = await world.start()
  onTestFinished(async () => {
    const killed = operator.kill()
    await world.clock.advance(slowMs)
    await killed
  })
  return { world, gateway }
}

function namesOf(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`)
}

/** Names of what was patched, without the number. */
function patched(calls: readonly ApiCall[], { plural }: { readonly plural: string }): string[] {
  return calls
    .filter((call) => call.verb === 'patch' && call.plural === plural)
    .map(({ name }) => name.split('-')[0] ?? '')
}

it('the statuses of a burst wait until all targets are written', async () => {
  const { world } = await setUp()
  for (const name of namesOf('new', 20)) world.addCredential(name)
  await world.clock.advance(15_000)
  const writes = world.api.calls.filter(({ verb }) => verb === 'create' || verb === 'patch')
  const expected = [...Array<string>(20).fill(secrets.plural), ...Array<string>(20).fill(credentials.plural)]
  expect(writes.map(({ plural }) => plural)).toEqual(expected)
})

it('a status that only tells of a wait comes after the statuses of written tokens', async () => {
  const { world } = await setUp()
  for (const name of namesOf('slow', 20)) world.addCredential(name, { gateway: { url: slowGateway } })
  for (const name of namesOf('quick', 20)) world.addCredential(name)
  await world.clock.advance(15_000)
  const expected = [...Array<string>(20).fill('quick'), ...Array<string>(20).fill('slow')]
  expect(patched(world.api.calls, credentials)).toEqual(expected)
  expect(world.conditions('slow-0')).toContain('Ready=False/WaitingForToken')
})

it('a deleted target is repaired, and a refused write tried again, before first syncs that wait', async () => {
  const { world } = await setUp()
  for (const name of ['deleted', 'refused']) world.addCredential(name)
  await world.clock.advance(5000)
  for (const name of namesOf('new', 100)) world.addCredential(name, { gateway: { url: slowGateway } })
  await world.clock.advance(1000)
  const { length } = world.api.calls
  for (const name of ['deleted-token', 'refused-token']) world.deleteSecret(name)
  let refusals = 0
  const isRefused = ({ name, verb }: ApiCall): boolean =>
    verb === 'create' && name === 'refused-token' && refusals++ === 0
  world.refuse(isRefused, { code: 500, reason: 'InternalError' })
  await world.clock.advance(1500)
  const since = world.api.calls.slice(length)
  expect(since.filter(({ verb }) => verb === 'create').map(({ name }) => name)).toEqual([
    'deleted-token',
    'refused-token',
    'refused-token',
  ])
  expect(since.filter(({ verb }) => verb === 'get').length).toBeGreaterThan(0)
})

it('a new token is written before first syncs that have waited for longer', async () => {
  const { gateway, world } = await setUp()
  world.addCredential('renewed')
  await world.clock.advance(5000)
  // Get, then refresh.
  gateway.latencyMs = 1500
  const body = { metadata: { annotations: { [annotations.renewRequestedAt]: '1' } } }
  world.user.patch(credentials, { namespace, name: 'renewed' }, body)
  await world.clock.advance(100)
  for (const name of namesOf('new', 100)) world.addCredential(name, { gateway: { url: slowGateway } })
  await world.clock.advance(3000)
  const { length } = world.api.calls
  await world.clock.advance(500)
  const since = world.api.calls.slice(length)
  expect(patched(since, secrets)).toEqual(['renewed'])
  expect(since.filter(({ verb }) => verb === 'get').length).toBeGreaterThan(0)
})
