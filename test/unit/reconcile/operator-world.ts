import { TokenService } from '../../../simulator/token-service.ts'
import { parseStatus } from '../../../src/api/v1alpha1/credential.ts'
import { apiVersion, kind, managedBy } from '../../../src/api/v1alpha1/names.ts'
import type { CredentialStatus } from '../../../src/api/v1alpha1/status-schema.ts'
import { ApiError } from '../../../src/kubernetes/errors.ts'
import { configMaps, credentials, secrets } from '../../../src/kubernetes/types.ts'
import { gatewayUrl, marker, type SpecInput } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { type ApiCall, MemoryApi, type StoredObject } from '../../support/memory-api.ts'
import { MemoryOperator } from '../../support/memory-operator.ts'
import { clientOf, failure, type ScriptedClient } from '../enos/support.ts'

export const namespace = 'plant-a'

/** The operator on an API server in memory with a token service, and a user. The source Secret is `app`. */
export class OperatorWorld {
  readonly clock = new FakeClock()
  readonly api = new MemoryApi(this.clock, managedBy)
  readonly user = this.api.user('kubectl')
  readonly service = new TokenService({
    clock: this.clock,
    applications: [{ appKey: marker.appKey, appSecret: marker.appSecret }],
  })
  readonly gateway: ScriptedClient = clientOf(this.clock, () => this.service)
  operator: MemoryOperator | undefined

  constructor() {
    this.addSecret('app', { appKey: marker.appKey, appSecret: marker.appSecret })
  }

  /** Starts or restarts the operator, and lets 5 s pass. */
  async start(configMapsSynced?: () => Promise<void>): Promise<MemoryOperator> {
    await this.operator?.kill()
    this.operator = new MemoryOperator(this.api, this.gateway, this.clock, configMapsSynced)
    await this.clock.advance(5000)
    return this.operator
  }

  addSecret(name: string, stringData: Readonly<Record<string, string>>): void {
    this.user.create(secrets, namespace, { metadata: { name }, stringData })
  }

  addConfigMap(name: string, data: Readonly<Record<string, string>>): void {
    this.user.create(configMaps, namespace, { metadata: { name }, data })
  }

  changeSecret(name: string, texts: Readonly<Record<string, string>>): void {
    const data = Object.fromEntries(
      Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
    )
    this.user.patch(secrets, { namespace, name }, { data })
  }

  labelSecret(name: string, labels: Readonly<Record<string, string>>): void {
    this.user.patch(secrets, { namespace, name }, { metadata: { labels } })
  }

  addCredential(name: string, spec: SpecInput = {}): void {
    const full = {
      gateway: { url: gatewayUrl },
      appKeyRef: { name: 'app' },
      appSecretRef: { name: 'app' },
      targets: [{ name: `${name}-token` }],
      ...spec,
    }
    this.user.create(credentials, namespace, { apiVersion, kind, metadata: { name }, spec: full })
  }

  changeSpec(name: string, spec: Record<string, unknown>): void {
    this.user.patch(credentials, { namespace, name }, { spec })
  }

  deleteCredential(name: string): void {
    this.user.delete(credentials, { namespace, name })
  }

  deleteSecret(name: string): void {
    this.user.delete(secrets, { namespace, name })
  }

  credential(name: string): StoredObject | undefined {
    return this.api.find(credentials, { namespace, name })
  }

  secret(name: string): StoredObject | undefined {
    return this.api.find(secrets, { namespace, name })
  }

  status(name: string): CredentialStatus {
    return parseStatus(this.credential(name)?.status)
  }

  /** The conditions in short: `Ready=True/Synced …`. */
  conditions(name: string): string {
    const { conditions } = this.status(name)
    return conditions.map(({ reason, status, type }) => `${type}=${status}/${reason}`).join(' ')
  }

  /** Whether the gateway accepts the token in a Secret. */
  isValid(secret: string): boolean {
    const token = Buffer.from(this.secret(secret)?.data?.['accessToken'] ?? '', 'base64').toString()
    return this.service.isValid(token)
  }

  /** Makes each further call to the gateway fail. */
  stopGateway(): void {
    this.gateway.answer = () => ({ kind: 'failed', failure: failure({ reason: 'GatewayUnreachable' }) })
  }

  /** Makes the API server refuse some calls; undefined: none. */
  refuse(
    isRefused: ((call: ApiCall) => boolean) | undefined,
    answer: ConstructorParameters<typeof ApiError>[1] = { code: 403, reason: 'Forbidden' },
  ): void {
    this.api.refuse = (call) => (isRefused?.(call) === true ? new ApiError(call.verb, answer) : undefined)
  }

  /** The calls to the API server after the first `count`. */
  callsSince(count: number): string[] {
    return this.api.calls.slice(count).map(({ name, plural, verb }) => `${verb} ${plural} ${name}`)
  }
}
