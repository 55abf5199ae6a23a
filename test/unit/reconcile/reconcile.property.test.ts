import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TokenService } from '../../../simulator/token-service.ts'
import { parseSpec, parseStatus } from '../../../src/api/v1alpha1/credential.ts'
import { managedBy } from '../../../src/api/v1alpha1/names.ts'
import { fingerprintOf } from '../../../src/enos/signature.ts'
import { credentials, secrets } from '../../../src/kubernetes/types.ts'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'
import { callLimit, MemoryApi, type StoredObject } from '../../support/memory-api.ts'
import { MemoryOperator } from '../../support/memory-operator.ts'
import { clientOf, failure, type ScriptedClient } from '../enos/support.ts'

const namespace = 'plant-a'
const gatewayUrl = 'https://apim.example.com'
const applications = [
  { appKey: 'k3y-wind', appSecret: 's3cr3t-wind' },
  { appKey: 'k3y-solar', appSecret: 's3cr3t-solar' },
] as const
/** The prefixes of all secrets of this test, plain and in base64. */
const markers = ['k3y-', 's3cr3t-', 'APP_PORTAL_S_'].flatMap((text) => [text, base64(text).slice(0, 5)])
const resources = ['wind-farm', 'wind-reports', 'solar-farm'] as const
const targetNames = ['token-a', 'token-b', 'token-c'] as const
const lifetimeMs = 60_000

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

/** A change of a target by another writer: of its content, or of a label, which is not corrected. */
type TargetChange =
  | { readonly kind: 'tamper'; readonly target: string }
  | { readonly kind: 'label'; readonly target: string; readonly value: string }

/** An event that the world applies: a change by a user, the gateway, the process or the clock. */
type WorldEvent =
  | { readonly kind: 'spec'; readonly name: string; readonly spec: object }
  | { readonly kind: 'deleteResource'; readonly name: string }
  | { readonly kind: 'source'; readonly name: string; readonly keys: object | undefined }
  | { readonly kind: 'deleteSecret' | 'plant'; readonly target: string }
  | TargetChange
  | { readonly kind: 'renew'; readonly name: string; readonly value: string }
  | { readonly kind: 'outage'; readonly isOut: boolean }
  | { readonly kind: 'revoke'; readonly appKey: string }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'restart' }

const target = fc.record({
  name: fc.constantFrom(...targetNames),
  creationPolicy: fc.constantFrom('Owner', 'Merge'),
  deletionPolicy: fc.constantFrom('Delete', 'Retain'),
  data: fc.constantFrom(
    { token: '{{ accessToken }}' },
    { token: '{{ accessToken }}', config: '{{ appSecret | json }}' },
    { other: '{{ accessToken }}' },
  ),
})
const spec = fc.record({
  gateway: fc.constant({ url: gatewayUrl }),
  appKeyRef: fc.record({ name: fc.constantFrom('app-wind', 'app-solar') }),
  targets: fc.uniqueArray(target, { minLength: 1, maxLength: 2, selector: ({ name }) => name }),
  suspend: fc.constantFrom(false, false, false, true),
})
const resource = fc.constantFrom(...resources)
const secret = fc.constantFrom(...targetNames)

const worldEvent: fc.Arbitrary<WorldEvent> = fc.oneof(
  { arbitrary: fc.record({ kind: fc.constant('spec' as const), name: resource, spec }), weight: 5 },
  fc.record({ kind: fc.constant('deleteResource' as const), name: resource }),
  fc.record({
    kind: fc.constant('source' as const),
    name: fc.constantFrom('app-wind', 'app-solar'),
    keys: fc.constantFrom(
      ...applications,
      { appKey: 'k3y-unknown', appSecret: 's3cr3t-unknown' },
      { appKey: '' },
      undefined,
    ),
  }),
  { arbitrary: fc.record({ kind: fc.constantFrom('deleteSecret', 'tamper', 'plant'), target: secret }), weight: 4 },
  fc.record({ kind: fc.constant('renew' as const), name: resource, value: fc.constantFrom('1', '2', '3') }),
  fc.record({ kind: fc.constant('outage' as const), isOut: fc.boolean() }),
  fc.record({ kind: fc.constant('revoke' as const), appKey: fc.constantFrom('k3y-wind', 'k3y-solar') }),
  {
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(1000, 10_000, 30_000, 90_000) }),
    weight: 3,
  },
  { arbitrary: fc.record({ kind: fc.constant('restart' as const) }), weight: 2 },
)

/** Changes that meet a pass, each so long after the one before. */
const burst = fc.array(
  fc.record({
    gapMs: fc.nat(120),
    event: fc.oneof(
      fc.record({ kind: fc.constant('spec' as const), name: resource, spec }),
      fc.record({ kind: fc.constantFrom('deleteSecret' as const, 'tamper' as const), target: secret }),
      fc.record({ kind: fc.constant('label' as const), target: secret, value: fc.constantFrom('1', '2', '3') }),
    ),
  }),
  { minLength: 2, maxLength: 6 },
)

class World {
  readonly clock = new FakeClock()
  readonly service = new TokenService({ clock: this.clock, applications, lifetimeSeconds: lifetimeMs / 1000 })
  readonly api = new MemoryApi(this.clock, managedBy)
  readonly user = this.api.user('kubectl')
  readonly gateway: ScriptedClient = clientOf(this.clock, () => this.service)
  operator = new MemoryOperator(this.api, this.gateway, this.clock)
  /** The data of Secrets of other owners, by name. */
  readonly foreign = new Map<string, Readonly<Record<string, string>>>()
  isOut = false
  /** The gateway has revoked a token: targets may hold it until a call tells. */
  hasRevoked = false
  readonly emitted: unknown[] = []
  readonly #answer = this.gateway.answer

  async start(): Promise<void> {
    for (const [at, keys] of applications.entries()) {
      await this.apply({ kind: 'source', name: at === 0 ? 'app-wind' : 'app-solar', keys })
    }
  }

  async apply(one: WorldEvent): Promise<void> {
    const { api, user } = this
    switch (one.kind) {
      case 'spec': {
        const { name } = one
        const full = { ...one.spec, appSecretRef: (one.spec as { appKeyRef: object }).appKeyRef }
        const parsed = parseSpec(name, full)
        if (!parsed.ok) throw new Error(parsed.problems.join())
        const ref = { namespace, name }
        const present = api.find(credentials, ref)
        if (present === undefined) {
          user.create(credentials, namespace, { metadata: { name }, spec: parsed.spec })
        } else if (present.metadata.deletionTimestamp === undefined) {
          user.patch(credentials, ref, { spec: parsed.spec })
        }
        break
      }
      case 'deleteResource':
        if (api.find(credentials, { namespace, name: one.name }) !== undefined) {
          user.delete(credentials, { namespace, name: one.name })
        }
        break
      case 'source': {
        const ref = { namespace, name: one.name }
        if (api.find(secrets, ref) !== undefined) user.delete(secrets, ref)
        if (one.keys !== undefined) {
          user.create(secrets, namespace, { metadata: { name: one.name }, stringData: one.keys })
        }
        break
      }
      case 'deleteSecret':
        this.foreign.delete(one.target)
        if (api.find(secrets, { namespace, name: one.target }) !== undefined) {
          user.delete(secrets, { namespace, name: one.target })
        }
        break
      case 'tamper':
      case 'label':
        this.#changeTarget(one)
        break
      case 'plant':
        if (api.find(secrets, { namespace, name: one.target }) === undefined) {
          this.foreign.set(one.target, { own: base64('theirs') })
          user.create(secrets, namespace, { metadata: { name: one.target }, stringData: { own: 'theirs' } })
        }
        break
      case 'renew':
        if (api.find(credentials, { namespace, name: one.name }) !== undefined) {
          const body = { metadata: { annotations: { 'enos.io/renew-requested-at': one.value } } }
          user.patch(credentials, { namespace, name: one.name }, body)
        }
        break
      case 'outage':
        this.isOut = one.isOut
        this.gateway.answer = one.isOut
          ? () => ({ kind: 'failed', failure: failure({ reason: 'GatewayUnreachable' }) })
          : this.#answer
        break
      case 'revoke':
        this.hasRevoked = true
        this.service.revoke(one.appKey)
        break
      case 'pass':
        await this.clock.advance(one.ms)
        break
      case 'restart':
        await this.operator.kill()
        this.emitted.push(...this.operator.emitted)
        this.operator = new MemoryOperator(api, this.gateway, this.clock)
        break
    }
    await settle()
  }

  #changeTarget(one: TargetChange): void {
    const ref = { namespace, name: one.target }
    const present = this.api.find(secrets, ref)
    if (present === undefined) return
    if (one.kind === 'label') {
      this.user.patch(secrets, ref, { metadata: { labels: { team: one.value } } })
    } else if (present.metadata.labels?.['app.kubernetes.io/managed-by'] === managedBy) {
      this.user.patch(secrets, ref, { data: { token: base64('tampered'), extra: base64('x') } })
    }
  }

  /** No secret leaked, no foreign Secret changed, and the next plan is empty. */
  async check(): Promise<void> {
    for (const [name, data] of this.foreign) {
      const present = this.api.find(secrets, { namespace, name })
      expect({ name, data: present?.data, owners: present?.metadata.ownerReferences }).toMatchObject({ name, data })
      expect(present?.metadata.ownerReferences ?? []).toEqual([])
    }
    const resourcesAndStatus = JSON.stringify(this.api.all(credentials))
    const output = JSON.stringify([...this.emitted, ...this.operator.emitted])
    const metadata = JSON.stringify(this.api.all(secrets).map((one) => one.metadata))
    for (const marker of markers) {
      expect(resourcesAndStatus).not.toContain(marker)
      expect(output).not.toContain(marker)
      expect(metadata).not.toContain(marker)
    }
    for (const object of this.api.all(credentials)) this.#checkTargets(object)
    await settle()
    expect(this.api.calls.length).toBeLessThan(callLimit)
    const [calls, attempts] = [this.api.calls.length, this.gateway.calls.length]
    this.operator.resync()
    await settle()
    // The content of a conflicting Secret is not kept, so each pass reads it again.
    expect(this.api.calls.slice(calls).filter(({ verb }) => verb !== 'get')).toEqual([])
    expect(this.gateway.calls.slice(attempts)).toEqual([])
  }

  /** With the gateway reachable and enough time, each resource is Ready unless only the user can act. */
  async checkRecovered(): Promise<void> {
    await this.apply({ kind: 'outage', isOut: false })
    // Longer than the maximum backoff of a failure that only the user can fix.
    await this.clock.advance(11 * 60_000)
    for (const object of this.api.all(credentials)) this.#checkCredential(object)
    this.#checkLeftovers()
    await this.check()
  }

  /**
   * A resource that is Ready has the token of its status on all targets. A target with a conflict keeps the token of
   * before, which is the one of the status while it is valid.
   */
  #checkTargets({ metadata, spec: given, status: written }: StoredObject): void {
    const parsed = parseSpec(metadata.name ?? '', given)
    const status = parseStatus(written)
    const ready = status.conditions.find(({ type }) => type === 'Ready')
    if (!parsed.ok || ready?.reason !== 'Synced' || metadata.deletionTimestamp !== undefined) return
    const held = parsed.spec.targets.map((one) => this.#held(one))
    const fingerprints = held.map((token) => fingerprintOf(new Sensitive(token)))
    if (status.conditions.some(({ reason, type }) => type === 'Stalled' && reason === 'TargetConflict')) {
      expect(fingerprints).toContain(status.tokenFingerprint)
    } else {
      expect(fingerprints).toEqual(held.map(() => status.tokenFingerprint))
    }
    if (!this.hasRevoked) expect(held.filter((token) => !this.service.isValid(token))).toEqual([])
  }

  /** The token on a target, in its first key. */
  #held({ name, data }: { name: string; data: Readonly<Record<string, string>> }): string {
    const [key = ''] = Object.keys(data)
    const encoded = this.api.find(secrets, { namespace, name })?.data?.[key] ?? ''
    return Buffer.from(encoded, 'base64').toString()
  }

  /** No owned Secret is left that no spec names, except for suspended resources. */
  #checkLeftovers(): void {
    const wanted = new Map(
      this.api.all(credentials).map(({ metadata, spec: given }) => {
        const { suspend, targets } = given as { targets: { name: string }[]; suspend: boolean }
        return [metadata.uid, suspend ? undefined : targets.map(({ name }) => name)]
      }),
    )
    for (const { metadata } of this.api.all(secrets)) {
      for (const { uid } of metadata.ownerReferences ?? []) {
        expect(wanted.has(uid)).toBe(true)
        expect(wanted.get(uid) ?? [metadata.name]).toContain(metadata.name)
      }
    }
  }

  #checkCredential({ metadata, spec: given, status }: StoredObject): void {
    const { name = '' } = metadata
    const parsed = parseSpec(name, given)
    const ready = parseStatus(status).conditions.find(({ type }) => type === 'Ready')
    if (!parsed.ok || metadata.deletionTimestamp !== undefined || parsed.spec.suspend) return
    expect(['True', 'False']).toContain(ready?.status)
    if (ready?.status !== 'True') {
      const stuck = ['SourceSecretNotFound', 'SourceKeyMissing', 'AppKeyNotFound', 'InvalidAppSecret']
      expect([...stuck, 'TargetConflict', 'TargetMissing', 'TokenExpired']).toContain(ready?.reason)
      return
    }
    const source = this.api.find(secrets, { namespace, name: parsed.spec.appKeyRef.name })
    const appKey = Buffer.from(source?.data?.['appKey'] ?? '', 'base64').toString()
    for (const one of parsed.spec.targets) {
      const token = this.#held(one)
      expect(this.service.isValid(token), `${name}: ${one.name}`).toBe(true)
      expect(this.service.currentToken(appKey)).toBe(token)
    }
  }
}

describe('the operator under random events', () => {
  it('the operator leaks no secret, changes no foreign Secret, converges after each event, and recovers in the end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(worldEvent, { minLength: 1, maxLength: 25 }), async (worldEvents) => {
        const world = new World()
        try {
          await world.start()
          for (const one of worldEvents) {
            await world.apply(one)
            await world.check()
          }
          await world.checkRecovered()
        } finally {
          await world.operator.kill()
        }
      }),
      { numRuns: Number(process.env['FUZZ_RUNS'] ?? 150), endOnFailure: process.env['FUZZ_RUNS'] === undefined },
    )
  }, 600_000)

  it('the operator loses no change that is made during its calls to the API server', async () => {
    const latencies = fc.infiniteStream(fc.nat(60))
    await fc.assert(
      fc.asyncProperty(spec, burst, latencies, async (first, changes, delays) => {
        const world = new World()
        try {
          await world.start()
          await world.apply({ kind: 'spec', name: 'wind-farm', spec: first })
          await world.clock.advance(5000)
          world.api.latencyMs = () => (delays.next() as IteratorYieldResult<number>).value
          for (const { event, gapMs } of changes) {
            await world.apply(event)
            await world.clock.advance(gapMs)
          }
          // Longer than a contest of so few changes; then the tokens are not due for renewal yet.
          await world.clock.advance(10_000)
          world.api.latencyMs = () => 0
          // The last calls end.
          await world.clock.advance(1000)
          await world.check()
        } finally {
          await world.operator.kill()
        }
      }),
      { numRuns: Number(process.env['FUZZ_RUNS'] ?? 150), endOnFailure: process.env['FUZZ_RUNS'] === undefined },
    )
  }, 600_000)
})
