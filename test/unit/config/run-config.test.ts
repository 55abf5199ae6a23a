import { describe, expect, it } from 'vitest'
import { type FlagName, InvalidValueError, runFlags, variableOf } from '../../../src/config/flags.ts'
import { type Environment, proxyOf, parseRunConfig } from '../../../src/config/run-config.ts'

type Given = Partial<Record<FlagName, string | readonly string[]>>

const read = (given: Given = {}, environment: Environment = {}) => parseRunConfig(given, environment)

/** The one line that a user sees. */
function complaint(given: Given, environment: Environment = {}): string {
  try {
    read(given, environment)
  } catch (error) {
    if (error instanceof InvalidValueError) return error.message
    throw error
  }
  throw new Error('it was taken')
}

describe('without flags and variables', () => {
  it('everything has its default', () => {
    expect(read()).toEqual({
      kubeconfig: { flag: undefined, environment: {} },
      namespaces: [],
      metricsBindAddress: { host: undefined, port: 8080 },
      healthProbeBindAddress: { host: undefined, port: 8081 },
      leaderElect: true,
      leaderElectNamespace: undefined,
      leaderElectLeaseName: 'enos-credential-operator',
      maxConcurrentReconciles: 64,
      gatewayMaxConcurrency: 32,
      allowedGateways: [],
      logLevel: 'info',
      logFormat: 'json',
      proxy: { httpProxy: undefined, httpsProxy: undefined, noProxy: undefined },
    })
  })

  it('nothing can be changed afterwards', () => {
    expect(Object.isFrozen(read())).toBe(true)
  })
})

describe('a flag and its variable', () => {
  it.each([
    ['kubeconfig', 'ENOS_KUBECONFIG'],
    ['namespace', 'ENOS_NAMESPACE'],
    ['metrics-bind-address', 'ENOS_METRICS_BIND_ADDRESS'],
    ['health-probe-bind-address', 'ENOS_HEALTH_PROBE_BIND_ADDRESS'],
    ['leader-elect', 'ENOS_LEADER_ELECT'],
    ['leader-elect-namespace', 'ENOS_LEADER_ELECT_NAMESPACE'],
    ['leader-elect-lease-name', 'ENOS_LEADER_ELECT_LEASE_NAME'],
    ['max-concurrent-reconciles', 'ENOS_MAX_CONCURRENT_RECONCILES'],
    ['gateway-max-concurrency', 'ENOS_GATEWAY_MAX_CONCURRENCY'],
    ['allowed-gateways', 'ENOS_ALLOWED_GATEWAYS'],
    ['log-level', 'ENOS_LOG_LEVEL'],
    ['log-format', 'ENOS_LOG_FORMAT'],
  ])('--%s is %s too', (flag, variable) => {
    expect(variableOf(flag)).toBe(variable)
  })

  it('these are all', () => {
    expect(runFlags).toHaveLength(12)
  })

  const cases: readonly [FlagName, string, keyof ReturnType<typeof read>, unknown][] = [
    ['kubeconfig', '/a', 'kubeconfig', expect.objectContaining({ flag: '/a' })],
    ['namespace', 'plant-a', 'namespaces', ['plant-a']],
    ['metrics-bind-address', '127.0.0.1:9090', 'metricsBindAddress', { host: '127.0.0.1', port: 9090 }],
    ['health-probe-bind-address', '[::1]:0', 'healthProbeBindAddress', { host: '::1', port: 0 }],
    ['leader-elect', 'false', 'leaderElect', false],
    ['leader-elect-namespace', 'kube-system', 'leaderElectNamespace', 'kube-system'],
    ['leader-elect-lease-name', 'mine', 'leaderElectLeaseName', 'mine'],
    ['max-concurrent-reconciles', '1', 'maxConcurrentReconciles', 1],
    ['gateway-max-concurrency', '10000', 'gatewayMaxConcurrency', 10_000],
    ['allowed-gateways', '*.example.com:8443', 'allowedGateways', ['*.example.com:8443']],
    ['log-level', 'debug', 'logLevel', 'debug'],
    ['log-format', 'pretty', 'logFormat', 'pretty'],
  ]

  it.each(cases)('--%s %s is read', (flag, text, field, value) => {
    expect(read({ [flag]: text })[field]).toEqual(value)
  })

  it.each(cases)('--%s %s is read from its variable', (flag, text, field, value) => {
    expect(read({}, { [variableOf(flag)]: text })[field]).toEqual(value)
  })

  it('what is typed goes first', () => {
    const environment = { ENOS_LOG_LEVEL: 'error', ENOS_NAMESPACE: 'plant-b', ENOS_LEADER_ELECT: 'false' }
    const { leaderElect, logLevel, namespaces } = read(
      { 'log-level': 'debug', namespace: ['plant-a'], 'leader-elect': 'true' },
      environment,
    )
    expect({ leaderElect, logLevel, namespaces }).toEqual({
      leaderElect: true,
      logLevel: 'debug',
      namespaces: ['plant-a'],
    })
  })

  it('of a flag that is given twice the last counts', () => {
    expect(read({ 'log-level': ['debug', 'warn'] }).logLevel).toBe('warn')
  })
})

describe('lists', () => {
  it('gather what is given several times, and by commas', () => {
    expect(read({ namespace: ['plant-a', 'plant-b, plant-c'] }).namespaces).toEqual(['plant-a', 'plant-b', 'plant-c'])
    expect(read({}, { ENOS_NAMESPACE: ' plant-a,plant-b ,' }).namespaces).toEqual(['plant-a', 'plant-b'])
  })

  it('are empty where the variable is', () => {
    expect(read({}, { ENOS_NAMESPACE: '', ENOS_ALLOWED_GATEWAYS: ' ' })).toMatchObject({
      namespaces: [],
      allowedGateways: [],
    })
  })

  it('are refused with the entry that is wrong', () => {
    expect(complaint({ namespace: ['plant-a', 'Plant'] })).toMatch(/^--namespace: seen "Plant", expected a name/)
    expect(complaint({}, { ENOS_ALLOWED_GATEWAYS: 'a,https://b' })).toMatch(
      /^ENOS_ALLOWED_GATEWAYS: seen "https:\/\/b", expected host or host:port/,
    )
  })
})

describe('addresses', () => {
  it('0 is none', () => {
    const { healthProbeBindAddress, metricsBindAddress } = read(
      { 'metrics-bind-address': '0' },
      { ENOS_HEALTH_PROBE_BIND_ADDRESS: '0' },
    )
    expect({ healthProbeBindAddress, metricsBindAddress }).toEqual({
      healthProbeBindAddress: undefined,
      metricsBindAddress: undefined,
    })
  })

  it('port 0 is any', () => {
    expect(read({ 'metrics-bind-address': ':0' }).metricsBindAddress).toEqual({ host: undefined, port: 0 })
  })

  it.each(['', '8080', 'a:b', ':65536', '::1:8080', ':8080x', ':-1'])('"%s" is none', (text) => {
    expect(complaint({ 'metrics-bind-address': text })).toContain('--metrics-bind-address: seen ')
  })
})

describe('values that cannot be', () => {
  it.each([
    ['max-concurrent-reconciles', '0'],
    ['max-concurrent-reconciles', '10001'],
    ['gateway-max-concurrency', '1.5'],
    ['gateway-max-concurrency', '-1'],
    ['gateway-max-concurrency', ''],
    ['leader-elect', 'yes'],
    ['leader-elect', ''],
    ['leader-elect-namespace', 'a/b'],
    ['leader-elect-lease-name', ''],
    ['log-level', 'verbose'],
    ['log-format', 'JSON'],
    ['allowed-gateways', '*'],
  ] as const)('--%s %s is refused in one line that names flag or variable, and what was expected', (flag, text) => {
    expect(complaint({ [flag]: text })).toMatch(new RegExp(`^--${flag}: seen ".*", expected .*$`))
    expect(complaint({}, { [variableOf(flag)]: text })).toMatch(new RegExp(`^${variableOf(flag)}: seen `))
  })

  it('are quoted in part only', () => {
    expect(complaint({ 'log-level': 'x\n'.repeat(1000) }).split('\n')).toHaveLength(1)
    expect(complaint({ 'log-level': 'x'.repeat(1000) }).length).toBeLessThan(200)
  })
})

it('proxies are read in capitals or not', () => {
  expect(proxyOf({ HTTPS_PROXY: 'http://a', http_proxy: 'http://b', HTTP_PROXY: 'http://c', NO_PROXY: 'd' })).toEqual({
    httpProxy: 'http://b',
    httpsProxy: 'http://a',
    noProxy: 'd',
  })
})
