import fc from 'fast-check'
import { credentials, secrets } from '../../../src/kubernetes/types.ts'
import type { Iteration } from '../../../src/reconcile/converge.ts'
import { gatewayUrl, heldToken, hourMs, marker, minuteMs } from '../../support/builders.ts'
import { type Answer, name, namespace, PlanWorld } from './plan-world.ts'

const targetNames = ['token-a', 'token-b', 'token-c'] as const
const theirs = Buffer.from('theirs').toString('base64')

type ValueOf<A> = A extends fc.Arbitrary<infer V> ? V : never

const target = fc.record({
  name: fc.constantFrom(...targetNames),
  creationPolicy: fc.constantFrom('Owner', 'Merge'),
  deletionPolicy: fc.constantFrom('Delete', 'Retain'),
  data: fc.constantFrom(
    { accessToken: '{{ accessToken }}', expiresAt: '{{ expiresAt }}' },
    { accessToken: '{{ accessToken }}' },
    { login: 'x {{ appKey }}:{{ appSecret }} {{ accessToken }}' },
  ),
})
const spec = fc.record({
  gateway: fc.constantFrom({ url: gatewayUrl }, { url: 'https://other.example.com' }),
  appKeyRef: fc.constant({ name: 'enos-app' }),
  appSecretRef: fc.constant({ name: 'enos-app' }),
  targets: fc.uniqueArray(target, { minLength: 1, maxLength: 3, selector: (one) => one.name }),
  propagation: fc.constantFrom('Kubelet', 'Kubelet', 'Immediate'),
  suspend: fc.constantFrom(false, false, false, false, true),
})
const source = fc.constantFrom(
  { appKey: marker.appKey, appSecret: marker.appSecret },
  { appKey: marker.appKey, appSecret: marker.appSecret },
  { appKey: marker.appKey, appSecret: `${marker.appSecret}-changed\n` },
  { appKey: marker.appKey },
  { appKey: '', appSecret: marker.appSecret },
  undefined,
)
const lifeLeftMs = { valid: hourMs, 'in-window': 5 * minuteMs, expired: -minuteMs }
/** The state of the application: a number tells tokens of one kind apart. */
const answer = fc.record({
  token: fc.constantFrom('none', 'valid', 'valid', 'valid', 'in-window', 'expired'),
  number: fc.integer({ min: 1, max: 3 }),
  problem: fc.constantFrom(
    undefined,
    undefined,
    { class: 'retry', reason: 'GatewayUnreachable' } as const,
    { class: 'userMustAct', reason: 'InvalidAppSecret' } as const,
  ),
  method: fc.constantFrom('Refresh', 'Refresh', 'Get'),
})
/** What another writer does to the Secret of a target. */
const interference = fc.record({
  to: fc.constantFrom(...targetNames),
  what: fc.constantFrom('delete', 'alter', 'add', 'steal', 'disown', 'freeze', 'replace'),
})
const situation = fc.record({
  spec,
  source,
  answer,
  interferences: fc.array(interference, { maxLength: 3 }),
  hasRestarted: fc.boolean(),
  isGatewayAllowed: fc.constantFrom(true, true, true, true, false),
  isPropagating: fc.boolean(),
  isRenewalRequested: fc.boolean(),
  passMs: fc.constantFrom(0, 500, 1000, minuteMs, 20 * minuteMs, 2 * hourMs),
})
type Situation = ValueOf<typeof situation>

export const story = fc.record({
  /** Secrets with the names of targets that exist before the resource. */
  foreign: fc.subarray([...targetNames]),
  situations: fc.array(situation, { minLength: 1, maxLength: 4 }),
  isDeleted: fc.boolean(),
})

/** The view of the application; a token stays the same until it expires. */
function answerOf({ tokens, clock }: PlanWorld, { method, number, problem, token: kind }: Situation['answer']): Answer {
  const now = clock.now()
  const failures = problem === undefined ? 0 : number
  const failure = problem === undefined ? undefined : { ...problem, message: 'as the gateway says' }
  const key = `${kind} ${number}`
  let token = tokens.get(key)
  if (kind !== 'none' && (token === undefined || (kind !== 'expired' && token.expiresAt <= now))) {
    const expiresAt = Math.floor(now / 1000) * 1000 + lifeLeftMs[kind]
    token = heldToken({ value: `${marker.token} ${key} ${expiresAt}`, expiresAt, issuedAtWall: expiresAt - 2 * hourMs })
    tokens.set(key, token)
  }
  const renewalAtWall = token === undefined ? undefined : token.expiresAtWall - 24 * minuteMs
  return { token, renewalAtWall, failure, failures, method }
}

function interfere(world: PlanWorld, { to, what }: { to: string; what: string }): void {
  const present = world.secret(to)
  const ref = { namespace, name: to }
  if (present === undefined) {
    if (what === 'add' || what === 'replace') {
      world.user.create(secrets, namespace, { metadata: { name: to }, data: { theirs } })
    }
    return
  }
  switch (what) {
    case 'delete':
      world.user.delete(secrets, ref)
      break
    case 'alter':
      world.user.patch(secrets, ref, { data: { accessToken: theirs } })
      break
    case 'add':
      world.user.patch(secrets, ref, { data: { more: theirs }, metadata: { labels: { by: 'hand' } } })
      break
    case 'steal':
      world.user.patch(secrets, ref, {
        metadata: { ownerReferences: [{ kind: 'Job', name: 'j', uid: 'uid-j', controller: true }] },
      })
      break
    case 'disown':
      world.user.patch(secrets, ref, { metadata: { ownerReferences: null } })
      break
    case 'freeze':
      world.user.patch(secrets, ref, { immutable: true })
      break
    case 'replace':
      world.user.delete(secrets, ref)
      world.user.create(secrets, namespace, { metadata: { name: to }, data: { theirs } })
  }
}

function createWorld(foreign: readonly string[]): PlanWorld {
  const world = new PlanWorld()
  for (const one of foreign) world.user.create(secrets, namespace, { metadata: { name: one }, data: { theirs } })
  return world
}

async function applySituation(world: PlanWorld, one: Situation): Promise<void> {
  if (world.resource() === undefined) {
    world.user.create(credentials, namespace, { metadata: { name, generation: 1 }, spec: one.spec })
  } else {
    world.user.patch(credentials, { namespace, name }, { spec: one.spec })
  }
  const annotations = { 'enos.io/renew-requested-at': world.clock.now().toString() }
  if (one.isRenewalRequested) world.user.patch(credentials, { namespace, name }, { metadata: { annotations } })
  if (world.secret('enos-app') !== undefined) world.user.delete(secrets, { namespace, name: 'enos-app' })
  const data = Object.fromEntries(
    Object.entries(one.source ?? {}).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  )
  if (one.source !== undefined) world.user.create(secrets, namespace, { metadata: { name: 'enos-app' }, data })
  for (const each of one.interferences) interfere(world, each)
  await world.clock.advance(one.passMs)
  world.answer = answerOf(world, one.answer)
  Object.assign(world, { isGatewayAllowed: one.isGatewayAllowed, isPropagating: one.isPropagating })
  if (one.hasRestarted) world.restart()
}

/** Plays a story: `check` gets each iteration, and `onConverged` the last one of each situation. */
export async function play(
  { foreign, isDeleted, situations }: ValueOf<typeof story>,
  check: (iteration: Iteration, world: PlanWorld) => void,
  onConverged: (iteration: Iteration, world: PlanWorld) => Promise<void> | void = () => undefined,
): Promise<void> {
  const world = createWorld(foreign)
  const converge = async (): Promise<void> => {
    const last = await world.converge((iteration) => {
      check(iteration, world)
    })
    if (last !== undefined) await onConverged(last, world)
  }
  for (const one of situations) {
    await applySituation(world, one)
    await converge()
  }
  if (!isDeleted) return
  world.user.delete(credentials, { namespace, name })
  await converge()
}
