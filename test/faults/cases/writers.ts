import { expect } from 'vitest'
import { delay, eventually } from '../../integration/harness.ts'
import type { FaultCase } from '../fault-case.ts'
import type { World } from '../world.ts'

const target = 'first-token'
const forged = Buffer.from('forged').toString('base64')

/** The fault spoils the target on purpose, from `begin` to its end. */
function excusing(world: World): void {
  world.referee.excuse(target, 15_000)
}

/** Reverts each write of the operator, until the world ends it. */
class Rival {
  readonly #world: World
  readonly #done: Promise<void>
  #isStopped = false
  reverts = 0

  constructor(world: World) {
    this.#world = world
    this.#done = this.#run()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#done
  }

  async #run(): Promise<void> {
    const { harness, namespace } = this.#world
    while (!this.#isStopped) {
      const secret = await harness.getSecret(namespace, target)
      if (secret?.data?.['accessToken'] !== forged) {
        excusing(this.#world)
        await harness.patchSecret(namespace, target, { data: { accessToken: forged } })
        this.reverts++
      }
      await delay(20)
    }
  }
}

const rivals = new WeakMap<World, Rival>()

const contest: FaultCase = {
  name: 'another writer reverts each write of a target',
  expected:
    'Ready False, TargetContested, names the writer; at most three corrections at once, then ever fewer; a new token at once; the other targets are renewed',
  when: 'now',
  holdMs: 8000,
  recoverWithinMs: 40_000,
  begin: (world) => {
    rivals.set(world, new Rival(world))
  },
  during: async (world) => {
    const { harness, namespace } = world
    await harness.expectCondition(namespace, 'first', 'Ready', 'False/TargetContested')
    expect(await harness.message(namespace, 'first', 'Ready')).toContain(`${target} (by integration-test)`)
  },
  end: async (world) => {
    const rival = rivals.get(world)
    await rival?.stop()
    // Three corrections at once, after 2 s and 4 s more, and the token of a renewal or two.
    expect(rival?.reverts).toBeGreaterThanOrEqual(4)
    expect(rival?.reverts).toBeLessThanOrEqual(8)
  },
}

/** A MutatingAdmissionPolicy for the target of `first`; it ends with the world. @param mutation CEL of one JSON patch operation */
async function applyPolicy(world: World, operations: readonly string[], mutation: string): Promise<void> {
  const { harness, namespace } = world
  const name = `${namespace}.faults.example.com`
  const apiVersion = 'admissionregistration.k8s.io/v1'
  const kind = 'MutatingAdmissionPolicy'
  const spec = {
    matchConstraints: {
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
      resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations, resources: ['secrets'] }],
    },
    matchConditions: [{ name: 'target', expression: `object.metadata.name in ["${target}", "probe"]` }],
    reinvocationPolicy: 'Never',
    failurePolicy: 'Fail',
    mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression: `[${mutation}]` } }],
  }
  const items = [
    { apiVersion, kind, metadata: { name }, spec },
    { apiVersion, kind: `${kind}Binding`, metadata: { name }, spec: { policyName: name } },
  ]
  world.cleanUps.push(() => removePolicy(world))
  await harness.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
  await isInForce(world, true)
}

async function removePolicy(world: World): Promise<void> {
  const name = `${world.namespace}.faults.example.com`
  const kinds = 'mutatingadmissionpolicies,mutatingadmissionpolicybindings'
  await world.harness.kubectl(['delete', kinds, name, '--ignore-not-found'])
}

/** Waits until the API server applies the policy, or no longer does, which takes it a moment. */
async function isInForce({ harness, namespace }: World, isExpected: boolean): Promise<void> {
  const texts = { accessToken: 'as sent' }
  await eventually(async () => {
    const { data, immutable } = await harness.createSecret(namespace, 'probe', texts)
    await harness.deleteSecret(namespace, 'probe')
    const isAltered = immutable === true || data?.['accessToken'] !== Buffer.from('as sent').toString('base64')
    expect(isAltered).toBe(isExpected)
  }, 20_000)
}

/** Waits until the operator has written the next token of `first`. */
async function renewed(world: World, whileWaiting: () => void): Promise<void> {
  const fingerprint = async (): Promise<string | undefined> =>
    (await world.credential('first')).status?.tokenFingerprint
  const before = await fingerprint()
  await eventually(async () => {
    whileWaiting()
    expect(await fingerprint()).not.toBe(before)
  }, world.lifetimeMs)
}

const immutable: FaultCase = {
  name: 'a policy makes new Secrets immutable',
  expected: 'TargetAltered is an event; the Secret is made anew once for each token, never in a loop',
  when: 'now',
  holdMs: 0,
  begin: async (world) => {
    await applyPolicy(world, ['CREATE'], 'JSONPatch{op: "add", path: "/immutable", value: true}')
    excusing(world)
    await world.harness.deleteSecret(world.namespace, target)
    await eventually(async () => {
      expect((await world.harness.getSecret(world.namespace, target))?.immutable).toBe(true)
    })
  },
  during: async (world) => {
    const tokens = new Set<string | undefined>()
    const immutables = new Map<string | undefined, boolean | undefined>()
    await eventually(async () => {
      excusing(world)
      const secret = await world.harness.getSecret(world.namespace, target)
      if (secret !== undefined) {
        tokens.add(secret.data?.['accessToken'])
        immutables.set(secret.metadata.uid, secret.immutable)
      }
      expect(tokens.size).toBe(3)
    }, 2 * world.lifetimeMs)
    expect([...immutables.values()]).toEqual([true, true, true])
    expect(await world.harness.eventReasons(world.namespace, 'first')).toContain('TargetAltered')
    const metrics = { operation: 'create', result: 'success', reason: 'Immutable' }
    expect(await world.operator.metric('enos_credential_target_writes_total', metrics)).toBeLessThanOrEqual(3)
  },
  end: async (world) => {
    excusing(world)
    await removePolicy(world)
  },
}

const altered: FaultCase = {
  name: 'a policy alters the token of a target',
  expected: 'Ready False, TargetAltered; written once for each token, and right with the first token after the policy',
  when: 'now',
  holdMs: 0,
  recoverWithinMs: 20_000,
  begin: async (world) => {
    excusing(world)
    const mutation = `JSONPatch{op: "replace", path: "/data/accessToken", value: "${forged}"}`
    await applyPolicy(world, ['CREATE', 'UPDATE'], mutation)
  },
  during: async (world) => {
    const { harness, namespace } = world
    const versions = new Set<string | undefined>()
    const excuse = (): void => {
      excusing(world)
    }
    await renewed(world, excuse)
    await harness.expectCondition(namespace, 'first', 'Ready', 'False/TargetAltered')
    for (let times = 0; times < 40; times++) {
      versions.add((await harness.getSecret(namespace, target))?.metadata.resourceVersion)
      excuse()
      await delay(50)
    }
    // A renewal may fall into these two seconds.
    expect(versions.size).toBeLessThanOrEqual(2)
  },
  end: async (world) => {
    await removePolicy(world)
    await isInForce(world, false)
    excusing(world)
  },
}

export const writerFaults: readonly FaultCase[] = [contest, immutable, altered]
