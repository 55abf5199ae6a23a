import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { fingerprintOf } from '../../src/enos/signature.ts'
import { events, type KubernetesObject, secrets } from '../../src/kubernetes/types.ts'
import { decodeKey, type Secret } from '../../src/targets/secret.ts'
import { delay, eventually, type Keys, useHarness } from './harness.ts'
import { has } from './kubernetes-version.ts'
import { VersionLog } from './version-log.ts'

const harness = useHarness()
/** With this lifetime a token is renewed every 15 s or sooner. */
const lifetimeSeconds = 30
const observedMs = 40_000
const altered = Buffer.from('APP_PORTAL_S_altered').toString('base64')

let gateway: Simulator
let namespace: string
let versions: VersionLog<Secret>
const cleanUp: string[] = []
const applications = new Map<string, Keys>()

/** How a policy alters what is written to a Secret. */
interface Scenario {
  readonly operations: readonly ('CREATE' | 'UPDATE')[]
  /** CEL of one JSON patch operation. */
  readonly mutation: string
  /** Expected `status/reason` of Ready. */
  readonly ready: string
  /** Part of the note of the one event TargetAltered; undefined where none is emitted. */
  readonly told: string | undefined
  /** Whether the Secret is recreated at each renewal. */
  readonly isRecreated?: boolean
}

const both = ['CREATE', 'UPDATE'] as const
const altering = (message: string, rest: Partial<Scenario> = {}): Pick<Scenario, 'ready' | 'told' | 'isRecreated'> => {
  return { ready: 'True/Synced', told: message, ...rest }
}

const scenarios: Record<string, Scenario> = {
  immutable: {
    operations: ['CREATE'],
    mutation: 'JSONPatch{op: "add", path: "/immutable", value: true}',
    ...altering('running pods do not see its renewals', { isRecreated: true }),
  },
  'added-label': {
    operations: both,
    mutation: 'JSONPatch{op: "add", path: "/metadata/labels/added", value: "by-policy"}',
    ready: 'True/Synced',
    told: undefined,
  },
  'altered-label': {
    operations: both,
    mutation: 'JSONPatch{op: "add", path: "/metadata/labels/enos.io~1credential", value: "altered"}',
    ...altering('enos.io/credential'),
  },
  'altered-token': {
    operations: both,
    mutation: `JSONPatch{op: "replace", path: "/data/accessToken", value: "${altered}"}`,
    ...altering('accessToken', { ready: 'False/TargetAltered' }),
  },
  'removed-key': {
    operations: both,
    mutation: 'JSONPatch{op: "remove", path: "/data/expiresAt"}',
    ...altering('expiresAt'),
  },
  'removed-token': {
    operations: both,
    mutation: 'JSONPatch{op: "remove", path: "/data/accessToken"}',
    ...altering('accessToken', { ready: 'False/TargetAltered' }),
  },
  'changed-type': {
    operations: ['CREATE'],
    mutation: 'JSONPatch{op: "replace", path: "/type", value: "example.com/altered"}',
    ...altering('type'),
  },
}

/** Applies objects that are not namespaced; they end with the file. */
async function apply(...items: { kind: string; metadata: { name: string } }[]): Promise<void> {
  for (const { kind, metadata } of items) cleanUp.push(`${kind}/${metadata.name}`)
  await harness().kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
}

const apiVersion = 'admissionregistration.k8s.io/v1'

function matching(name: string, operations: readonly string[]): object {
  return {
    matchConstraints: {
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
      resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations, resources: ['secrets'] }],
    },
    matchConditions: [{ name: 'target', expression: `object.metadata.name == "${name}-token"` }],
  }
}

async function applyMutation(name: string, { mutation, operations }: Scenario): Promise<void> {
  const policyName = `${name}.altered.example.com`
  const mutations = [{ patchType: 'JSONPatch', jsonPatch: { expression: `[${mutation}]` } }]
  const rest = { reinvocationPolicy: 'Never', failurePolicy: 'Fail', mutations }
  const spec = { ...matching(name, operations), ...rest }
  const kind = 'MutatingAdmissionPolicy'
  await apply(
    { apiVersion, kind, metadata: { name: policyName }, spec } as never,
    { apiVersion, kind: `${kind}Binding`, metadata: { name: policyName }, spec: { policyName } } as never,
  )
}

async function applyDenial(name: string): Promise<void> {
  const policyName = `${name}.denied.example.com`
  const validations = [{ expression: 'false', message: 'text-of-an-outsider' }]
  const kind = 'ValidatingAdmissionPolicy'
  const spec = { ...matching(name, both), validations }
  const binding = { policyName, validationActions: ['Deny'] }
  await apply(
    { apiVersion, kind, metadata: { name: policyName }, spec } as never,
    { apiVersion, kind: `${kind}Binding`, metadata: { name: policyName }, spec: binding } as never,
  )
}

/** Waits until a policy is in force, which takes the API server a moment. */
async function inForce(name: string, isAltered: (created: Secret) => boolean): Promise<void> {
  await eventually(async () => {
    const created = await harness().createSecret(
      namespace,
      `${name}-token`,
      { accessToken: 'x', expiresAt: 'x' },
      { metadata: { name: `${name}-token`, labels: { 'enos.io/probe': 'x' } } },
    )
    await harness().deleteSecret(namespace, `${name}-token`)
    expect(isAltered(created)).toBe(true)
  }, 20_000)
}

async function notes(name: string): Promise<string[]> {
  const { items } = await harness().admin.list<
    KubernetesObject & { regarding?: { name?: string }; reason?: string; note?: string }
  >(events, namespace)
  return items
    .filter(({ regarding, reason }) => regarding?.name === name && reason === 'TargetAltered')
    .map(({ note = '' }) => note)
}

/** Distinct tokens that the gateway has answered for an application. */
function tokensOf(name: string): Set<string> {
  const appKey = applications.get(name)?.appKey
  const answers = gateway.calls.filter((call) => call.appKey === appKey)
  return new Set(answers.flatMap(({ fingerprint }) => (fingerprint === undefined ? [] : [fingerprint])))
}

beforeAll(async () => {
  gateway = await harness().gateway({ lifetimeSeconds, doesRefreshChangeToken: true })
  namespace = await harness().namespace()
  await applyDenial('denied')
  const createAndDelete = async (): Promise<void> => {
    await harness().createSecret(namespace, 'denied-token', {})
    await harness().deleteSecret(namespace, 'denied-token')
  }
  await eventually(() => expect(createAndDelete()).rejects.toThrow('denied the request'), 20_000)
  await (await harness().operator()).working()
})

afterAll(async () => {
  for (const object of cleanUp) await harness().kubectl(['delete', object, '--ignore-not-found'])
})

async function addCredential(name: string): Promise<void> {
  const keys = harness().keys()
  applications.set(name, keys)
  gateway.service.addApplication(keys)
  await harness().createCredential(namespace, name, gateway, keys)
}

const names = Object.entries(scenarios)

describe.skipIf(!has('MutatingAdmissionPolicy v1'))('a Secret that a MutatingAdmissionPolicy alters', () => {
  beforeAll(async () => {
    for (const [name, scenario] of names) await applyMutation(name, scenario)
    for (const [name] of names) {
      await inForce(name, ({ data, immutable, metadata: { labels }, type }) => {
        const isLabelAltered = labels?.['added'] !== undefined || labels?.['enos.io/credential'] !== undefined
        const isTokenAltered = data?.['accessToken'] === undefined || data['accessToken'] === altered
        const isOther = immutable === true || data?.['expiresAt'] === undefined || type !== 'Opaque'
        return isLabelAltered || isTokenAltered || isOther
      })
    }
    versions = await VersionLog.start<Secret>({ client: harness().admin, type: secrets, namespace })
    for (const [name] of names) await addCredential(name)
    await delay(observedMs)
  })

  afterAll(async () => {
    await versions.stop()
    // Without a token it looks like a Secret that the scan for secrets cannot read.
    await harness().deleteCredential(namespace, 'removed-token')
    const name = 'removed-token-token'
    await eventually(async () => expect(await harness().getSecret(namespace, name)).toBeUndefined(), 15_000)
  })

  it.each(names)('%s: the operator writes an altered Secret once for each token', (name, { isRecreated }) => {
    const tokens = tokensOf(name).size
    const changes = versions.of(`${name}-token`).length
    expect(tokens).toBeGreaterThanOrEqual(3)
    expect(changes).toBeLessThanOrEqual(isRecreated === true ? 2 * tokens - 1 : tokens)
    expect(changes).toBeGreaterThanOrEqual((isRecreated === true ? 2 * tokens - 1 : tokens) - 2)
  })

  it.each(names)('%s: Ready is False only where a policy alters the token', async (name, { ready }) => {
    expect(await harness().condition(namespace, name, 'Ready')).toBe(ready)
    if (ready.startsWith('False')) expect(await harness().message(namespace, name, 'Ready')).toContain('accessToken')
  })

  it.each(names)(
    '%s: the Secret holds the present token where a policy alters other parts',
    async (name, { ready }) => {
      if (ready.startsWith('False')) return
      await eventually(async () => {
        const present = await harness().getSecret(namespace, `${name}-token`)
        const token = present === undefined ? undefined : decodeKey(present, 'accessToken')
        expect(token && fingerprintOf(token)).toBe([...tokensOf(name)].at(-1))
      })
    },
  )

  it.each(names)('%s: one event tells of an alteration, and none of an added label', async (name, { told }) => {
    expect(await notes(name)).toEqual(told === undefined ? [] : [expect.stringContaining(told)])
  })
})

describe('a Secret that a ValidatingAdmissionPolicy denies', () => {
  it('a condition names the policy that denies a Secret, and never repeats its text', async () => {
    await addCredential('denied')
    await harness().expectCondition(namespace, 'denied', 'Ready', 'False/TargetWriteFailed')
    const message = await harness().message(namespace, 'denied', 'Ready')
    expect(message).toContain('ValidatingAdmissionPolicy "denied.denied.example.com" denied the request')
    expect(message).not.toContain('text-of-an-outsider')
  })

  it('a denied Secret is written once the policy is deleted', async () => {
    await harness().kubectl(['delete', 'ValidatingAdmissionPolicyBinding/denied.denied.example.com'])
    await harness().expectReady(namespace, 'denied', 40_000)
  })
})
