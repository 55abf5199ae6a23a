import { describe, expect, it } from 'vitest'
import { type FlagName, InvalidValueError, runFlags, variableOf } from '../../../src/config/flags.ts'
import { parseLabelSelector } from '../../../src/config/label-selector.ts'
import { type Environment, parseRunConfig } from '../../../src/config/run-config.ts'

type Given = Partial<Record<FlagName, string | readonly string[]>>

const parse = (given: Given = {}, environment: Environment = {}) => parseRunConfig(given, environment)

/** The line that the user sees. */
function errorOf(given: Given, environment: Environment = {}): string {
  try {
    parse(given, environment)
  } catch (error) {
    if (error instanceof InvalidValueError) return error.message
    throw error
  }
  throw new Error('expected an InvalidValueError, but the value was accepted')
}

describe('parseRunConfig: defaults', () => {
  it('every field has a default', () => {
    expect(parse()).toEqual({
      kubeconfig: { environment: {} },
      namespaces: [],
      watchLabelSelector: undefined,
      metricsBindAddress: { host: undefined, port: 8080 },
      metricsTls: undefined,
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
      misspelledVariables: [],
    })
  })

  it('the configuration is frozen', () => {
    expect(Object.isFrozen(parse())).toBe(true)
  })
})

describe('parseRunConfig: flags and variables', () => {
  it.each([
    ['kubeconfig', 'ENOS_KUBECONFIG'],
    ['context', 'ENOS_CONTEXT'],
    ['namespace', 'ENOS_NAMESPACE'],
    ['watch-label-selector', 'ENOS_WATCH_LABEL_SELECTOR'],
    ['metrics-bind-address', 'ENOS_METRICS_BIND_ADDRESS'],
    ['metrics-tls-cert-file', 'ENOS_METRICS_TLS_CERT_FILE'],
    ['metrics-tls-key-file', 'ENOS_METRICS_TLS_KEY_FILE'],
    ['health-probe-bind-address', 'ENOS_HEALTH_PROBE_BIND_ADDRESS'],
    ['leader-elect', 'ENOS_LEADER_ELECT'],
    ['leader-elect-namespace', 'ENOS_LEADER_ELECT_NAMESPACE'],
    ['leader-elect-lease-name', 'ENOS_LEADER_ELECT_LEASE_NAME'],
    ['max-concurrent-reconciles', 'ENOS_MAX_CONCURRENT_RECONCILES'],
    ['gateway-max-concurrency', 'ENOS_GATEWAY_MAX_CONCURRENCY'],
    ['allowed-gateways', 'ENOS_ALLOWED_GATEWAYS'],
    ['log-level', 'ENOS_LOG_LEVEL'],
    ['log-format', 'ENOS_LOG_FORMAT'],
  ])('the variable of --%s is %s', (flag, variable) => {
    expect(variableOf(flag)).toBe(variable)
  })

  it('there are no other flags', () => {
    expect(runFlags).toHaveLength(16)
  })

  const cases: readonly [FlagName, string, keyof ReturnType<typeof parse>, unknown][] = [
    [
      'kubeconfig',
      '/a',
      'kubeconfig',
      expect.objectContaining({ file: { text: '/a', from: expect.any(String) as string } }),
    ],
    [
      'context',
      'prod',
      'kubeconfig',
      expect.objectContaining({ context: { text: 'prod', from: expect.any(String) as string } }),
    ],
    ['namespace', 'plant-a', 'namespaces', ['plant-a']],
    ['watch-label-selector', 'a in (b,c),!d', 'watchLabelSelector', parseLabelSelector('a in (b,c),!d')],
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

  it.each(cases)('--%s %s is parsed', (flag, text, field, value) => {
    expect(parse({ [flag]: text })[field]).toEqual(value)
  })

  it.each(cases)('the variable of --%s has the same syntax (%s)', (flag, text, field, value) => {
    expect(parse({}, { [variableOf(flag)]: text })[field]).toEqual(value)
  })

  it('a misspelled variable is told apart from those of other programs', () => {
    const { logLevel, misspelledVariables } = parse({}, { ENOS_LOG_LEVLE: 'debug', ENOS_APP_KYE: 'x', ENOS_TOKEN: 'y' })
    expect(logLevel).toBe('info')
    expect(misspelledVariables).toEqual([{ variable: 'ENOS_LOG_LEVLE', nearest: 'ENOS_LOG_LEVEL' }])
  })

  it('a flag goes before its variable', () => {
    const environment = { ENOS_LOG_LEVEL: 'error', ENOS_NAMESPACE: 'plant-b', ENOS_LEADER_ELECT: 'false' }
    const { leaderElect, logLevel, namespaces } = parse(
      { 'log-level': 'debug', namespace: ['plant-a'], 'leader-elect': 'true' },
      environment,
    )
    expect({ leaderElect, logLevel, namespaces }).toEqual({
      leaderElect: true,
      logLevel: 'debug',
      namespaces: ['plant-a'],
    })
  })

  it('the kubeconfig and its context come with the flag or the variable that gave them', () => {
    const variables = { ENOS_KUBECONFIG: '/b', ENOS_CONTEXT: 'dev' }
    expect(parse({ kubeconfig: '/a' }, variables).kubeconfig).toEqual({
      file: { text: '/a', from: '--kubeconfig' },
      context: { text: 'dev', from: 'ENOS_CONTEXT' },
      environment: variables,
    })
  })

  it('the last of several values of a flag wins', () => {
    expect(parse({ 'log-level': ['debug', 'warn'] }).logLevel).toBe('warn')
    expect(parse({ kubeconfig: ['/a', '/b'] }).kubeconfig.file?.text).toBe('/b')
  })
})

describe('parseRunConfig: lists', () => {
  it('a list takes repeated flags and commas', () => {
    expect(parse({ namespace: ['plant-a', 'plant-b, plant-c'] }).namespaces).toEqual(['plant-a', 'plant-b', 'plant-c'])
    expect(parse({}, { ENOS_NAMESPACE: ' plant-a,plant-b ,' }).namespaces).toEqual(['plant-a', 'plant-b'])
  })

  it('a list is empty when its variable is empty', () => {
    expect(parse({}, { ENOS_NAMESPACE: '', ENOS_ALLOWED_GATEWAYS: ' ' })).toMatchObject({
      namespaces: [],
      allowedGateways: [],
    })
  })

  it.each([
    [{ namespace: [''] }, {}, /^--namespace: seen "", expected a name/],
    [{ namespace: ['plant-a', ' '] }, {}, /^--namespace: seen "", expected a name/],
    [{ namespace: ',' }, {}, /^--namespace: seen "", expected a name/],
    [{ 'allowed-gateways': [''] }, {}, /^--allowed-gateways: seen "", expected host/],
    [{}, { ENOS_NAMESPACE: ',' }, /^ENOS_NAMESPACE: seen "", expected a name/],
  ])('an empty list of %j and %j is refused, since it would mean all', (given, environment, message) => {
    expect(errorOf(given, environment)).toMatch(message)
  })

  it('the error quotes the invalid entry of a list', () => {
    expect(errorOf({ namespace: ['plant-a', 'Plant'] })).toMatch(/^--namespace: seen "Plant", expected a name/)
    expect(errorOf({}, { ENOS_ALLOWED_GATEWAYS: 'a,https://b' })).toMatch(
      /^ENOS_ALLOWED_GATEWAYS: seen "https:\/\/b", expected host or host:port/,
    )
  })
})

describe('parseRunConfig: bind addresses', () => {
  it('0 disables an endpoint', () => {
    const { healthProbeBindAddress, metricsBindAddress } = parse(
      { 'metrics-bind-address': '0' },
      { ENOS_HEALTH_PROBE_BIND_ADDRESS: '0' },
    )
    expect({ healthProbeBindAddress, metricsBindAddress }).toEqual({
      healthProbeBindAddress: undefined,
      metricsBindAddress: undefined,
    })
  })

  it('port 0 is accepted', () => {
    expect(parse({ 'metrics-bind-address': ':0' }).metricsBindAddress).toEqual({ host: undefined, port: 0 })
  })

  it.each(['', '8080', 'a:b', ':65536', '::1:8080', ':8080x', ':-1'])('"%s" is refused', (text) => {
    expect(errorOf({ 'metrics-bind-address': text })).toContain('--metrics-bind-address: seen ')
  })
})

describe('parseRunConfig: invalid values', () => {
  it.each([
    ['watch-label-selector', 'shard in (a'],
    ['watch-label-selector', 'shard=a,'],
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
    expect(errorOf({ [flag]: text })).toMatch(new RegExp(`^--${flag}: seen ".*", expected .*$`))
    expect(errorOf({}, { [variableOf(flag)]: text })).toMatch(new RegExp(`^${variableOf(flag)}: seen `))
  })

  it('the environment names an invalid proxy or NO_PROXY', () => {
    expect(errorOf({}, { HTTPS_PROXY: 'proxy:port' })).toMatch(/^HTTPS_PROXY: expected /)
    expect(errorOf({}, { NO_PROXY: '10.0.0.0/33' })).toMatch(/^NO_PROXY: seen "10.0.0.0\/33", expected /)
  })

  it('a long value is quoted in part only', () => {
    expect(errorOf({ 'log-level': 'x\n'.repeat(1000) }).split('\n')).toHaveLength(1)
    expect(errorOf({ 'log-level': 'x'.repeat(1000) }).length).toBeLessThan(200)
  })
})

describe('parseRunConfig: certificate of /metrics', () => {
  it('is two files, of flags or variables', () => {
    const files = { certFile: '/tls/tls.crt', keyFile: '/tls/tls.key' }
    const cert = { 'metrics-tls-cert-file': files.certFile }
    expect(parse({ ...cert, 'metrics-tls-key-file': files.keyFile }).metricsTls).toEqual(files)
    expect(parse(cert, { ENOS_METRICS_TLS_KEY_FILE: files.keyFile }).metricsTls).toEqual(files)
  })

  it.each([
    ['key', 'cert'],
    ['cert', 'key'],
  ] as const)('is refused with the %s alone', (given, missing) => {
    expect(errorOf({ [`metrics-tls-${given}-file`]: '/tls/x' })).toBe(
      `--metrics-tls-${missing}-file: seen nothing, expected a file, since --metrics-tls-${given}-file has one`,
    )
  })
})
