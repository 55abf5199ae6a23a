import type { ApplicationKeys } from '../simulator/token-service.ts'

/** The objects of the demo: three resources, two of which share an application. */

export const namespace = 'plant-a'

/** Lifetime of a token. */
export const lifetimeMs = 30_000
/** By the default window, a token of 30 s is renewed with 15 s left, or by jitter up to 1.5 s earlier. */
export const renewalWindowMs = lifetimeMs / 2

export interface Application extends ApplicationKeys {
  readonly name: string
}

export interface Target {
  /** Of the Secret. */
  readonly name: string
  /** Name of the EnosAppCredential. */
  readonly credential: string
  readonly application: Application
  /** The key that holds the token, as its whole value or inside a template's text. */
  readonly key: string
  /** The template of that key; undefined for the default keys. */
  readonly template: string | undefined
}

const wind: Application = { name: 'wind', appKey: 'demo-wind-key', appSecret: 'demo-wind-secret' }
const solar: Application = { name: 'solar', appKey: 'demo-solar-key', appSecret: 'demo-solar-secret' }

export const applications: readonly Application[] = [wind, solar]

/** The configuration of an EnOS client in one file. */
const clientTemplate =
  '{"gateway": {{ gatewayUrl | json }}, "appKey": {{ appKey | json }}, "appSecret": {{ appSecret | json }}, ' +
  '"accessToken": {{ accessToken | json }}}'

const windFarm = targetOf('wind-farm', wind)
const windReports = targetOf('wind-reports', wind)
const solarFarm = targetOf('solar-farm', solar, 'client.json', clientTemplate)

export const targets: readonly Target[] = [windFarm, windReports, solarFarm]

/** The targets that the scenario damages, in its order. */
export const victims = [windFarm.name, solarFarm.name, windReports.name] as const

/** @throws RangeError when no target has this name */
export function targetNamed(name: string): Target {
  const target = targets.find((one) => one.name === name)
  if (target === undefined) throw new RangeError(`no target has the name ${name}`)
  return target
}

/**
 * The token that a Secret holds for a target.
 * @param data of the Secret, base64
 */
export function tokenIn(target: Target, data: Readonly<Record<string, string>>): string | undefined {
  const encoded = data[target.key]
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString()
  return target.template === undefined ? text : /"accessToken": "([^"]*)"/.exec(text)?.[1]
}

/** Namespace, source Secrets and resources, as `kubectl apply` takes them. */
export function manifests(gatewayUrl: string): object {
  return {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
      ...applications.map(({ name, appKey, appSecret }) => ({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: sourceOf(name), namespace },
        stringData: { appKey, appSecret },
      })),
      ...targets.map((target) => credential(target, gatewayUrl)),
    ],
  }
}

function credential({ application, credential: name, key, name: secret, template }: Target, url: string): object {
  const source = { name: sourceOf(application.name) }
  return {
    apiVersion: 'enos.io/v1alpha1',
    kind: 'EnosAppCredential',
    metadata: { name, namespace },
    spec: {
      gateway: { url, allowInsecureHTTP: true },
      appKeyRef: source,
      appSecretRef: source,
      targets: [{ name: secret, ...(template === undefined ? {} : { data: { [key]: template } }) }],
    },
  }
}

function sourceOf(application: string): string {
  return `${application}-app`
}

function targetOf(credential: string, application: Application, key = 'accessToken', template?: string): Target {
  return { name: `${credential}-token`, credential, application, key, template }
}
