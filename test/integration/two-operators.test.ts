import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Simulator, SimulatorOptions } from '../../simulator/server.ts'
import { credentials, secrets } from '../../src/kubernetes/types.ts'
import { decodeKey, type Secret } from '../../src/targets/secret.ts'
import { type CredentialObject, delay, eventually, useHarness } from './harness.ts'
import type { OperatorProcess } from './operator-process.ts'
import { VersionLog } from './version-log.ts'

const harness = useHarness()
/** With a lifetime of 30 s a token is renewed about every 13 s. */
const observedMs = 60_000
const renewals = 4

interface Scenario {
  readonly options: SimulatorOptions
  readonly renewals: number
  readonly isMerged?: boolean
}

const scenarios: Record<string, Scenario> = {
  'without-renewal': { options: { lifetimeSeconds: 7200 }, renewals: 0 },
  'new-tokens': { options: { lifetimeSeconds: 30 }, renewals },
  'killed-tokens': { options: { lifetimeSeconds: 30, doesRefreshKillOld: true }, renewals },
  'prolonged-token': { options: { lifetimeSeconds: 30, doesRefreshChangeToken: false }, renewals },
  merged: { options: { lifetimeSeconds: 30 }, renewals, isMerged: true },
}
const names = Object.entries(scenarios)

let namespace: string
let targetVersions: VersionLog<Secret>
let statusVersions: VersionLog<CredentialObject>
const gateways = new Map<string, Simulator>()

async function addCredential(name: string, { isMerged, options }: Omit<Scenario, 'renewals'>): Promise<void> {
  const gateway = await harness().gateway(options)
  gateways.set(name, gateway)
  const keys = harness().keys()
  gateway.service.addApplication(keys)
  if (isMerged === true) await harness().createSecret(namespace, `${name}-token`, { own: 'value' })
  const merge = { targets: [{ name: `${name}-token`, creationPolicy: 'Merge' }] }
  await harness().createCredential(namespace, name, gateway, keys, isMerged === true ? merge : {})
}

function hasToldOfTheOther(operator: OperatorProcess): boolean {
  return operator.output.includes('another operator writes the status of this resource')
}

beforeAll(async () => {
  namespace = await harness().namespace()
  const client = harness().admin
  targetVersions = await VersionLog.start<Secret>({ client, type: secrets, namespace })
  statusVersions = await VersionLog.start<CredentialObject>({ client, type: credentials, namespace })
})

afterAll(async () => {
  await targetVersions.stop()
  await statusVersions.stop()
})

describe('two operators on one resource', () => {
  const operators: OperatorProcess[] = []

  beforeAll(async () => {
    for (let n = 0; n < 2; n++) operators.push(await (await harness().operator()).working())
    for (const [name, scenario] of names) await addCredential(name, scenario)
    await delay(observedMs)
  })

  it.each(names)('%s: two operators change the Secret at most 3 times a renewal', (name, scenario) => {
    expect(targetVersions.of(`${name}-token`).length).toBeLessThanOrEqual(3 * (scenario.renewals + 1))
  })

  it.each(names)('%s: two operators write the status a few times a renewal', (name, scenario) => {
    expect(statusVersions.of(name).length).toBeLessThanOrEqual(6 + 3 * scenario.renewals)
  })

  it.each(names)('%s: two operators leave a valid token on the Secret, and Ready', async (name) => {
    // A refresh may just have ended the old token.
    await eventually(async () => {
      const present = await harness().getSecret(namespace, `${name}-token`)
      const token = present === undefined ? undefined : decodeKey(present, 'accessToken')?.reveal()
      expect(gateways.get(name)?.service.isValid(token ?? '')).toBe(true)
      expect(await harness().condition(namespace, name, 'Ready')).toBe('True/Synced')
    }, 2000)
  })

  it('two operators both log that another operator writes the status', async () => {
    expect(operators.map((operator) => hasToldOfTheOther(operator))).toEqual([true, true])
    await Promise.all(operators.map((operator) => operator.end()))
  })
})

describe('two operators that allow different gateways', () => {
  it('two operators that allow different gateways write the status less and less often', async () => {
    const strict = ['--no-leader-elect', '--allowed-gateways', 'other.example.com']
    const operators = [await harness().operator(), await harness().operator({ args: strict })]
    for (const operator of operators) await operator.working()
    await addCredential('disputed', { options: { lifetimeSeconds: 7200 } })
    await delay(30_000)
    expect(targetVersions.of('disputed-token')).toHaveLength(1)
    const before = statusVersions.of('disputed').length
    expect(before).toBeLessThanOrEqual(24)
    await delay(15_000)
    expect(statusVersions.of('disputed').length - before).toBeLessThanOrEqual(2)
    expect(operators.map((operator) => hasToldOfTheOther(operator))).toEqual([true, true])
  }, 120_000)
})
