/** A spec, and whether it is valid. zod and the API server must agree. */
export interface SpecCase {
  readonly name: string
  readonly spec: unknown
  readonly isAccepted: boolean
}

const minimal = {
  gateway: { url: 'https://apim.example.com' },
  appKeyRef: { name: 'enos-app' },
  appSecretRef: { name: 'enos-app' },
  targets: [{ name: 'enos-token' }],
}

/** Every field with a value of its own. */
const full = {
  gateway: {
    url: 'https://apim.example.com:8443/base/path',
    allowInsecureHTTP: false,
    caRef: { kind: 'ConfigMap', name: 'plant-ca', key: 'bundle.pem' },
    timeout: '5s',
    tlsServerName: 'gateway.example.com',
    headersFrom: [
      { name: 'Ocp-Apim-Subscription-Key', secretKeyRef: { name: 'enos-headers', key: 'subscriptionKey' } },
      { name: 'x-plant', secretKeyRef: { name: 'enos-headers', key: 'plant' } },
    ],
  },
  appKeyRef: { name: 'enos-app', key: 'key' },
  appSecretRef: { name: 'enos-secret', key: 'secret' },
  renewBefore: '20m',
  renewalMethod: 'Refresh',
  verifyEvery: '10m',
  targets: [
    {
      name: 'enos-token',
      type: 'example.com/token',
      labels: { 'example.com/team': 'wind', plain: '' },
      annotations: { 'example.com/note': 'any text: ü\n' },
      data: { 'config.json': '{{ accessToken | json }}' },
      creationPolicy: 'Owner',
      deletionPolicy: 'Retain',
    },
    { name: 'shared', creationPolicy: 'Merge', data: { token: '{{ accessToken }}' } },
  ],
  propagation: 'Immediate',
  restartOnRenewal: [
    { kind: 'Deployment', name: 'a' },
    { kind: 'StatefulSet', name: 'a' },
    { kind: 'DaemonSet', name: 'a' },
  ],
  suspend: true,
}

type Field = Record<string, unknown>

const accepted = (name: string, spec: unknown): SpecCase => ({ name, spec, isAccepted: true })
const refused = (name: string, spec: unknown): SpecCase => ({ name, spec, isAccepted: false })
const both = (what: string, good: readonly unknown[], bad: readonly unknown[], make: (value: unknown) => unknown) => [
  ...good.map((value) => accepted(`${what}: ${show(value)}`, make(value))),
  ...bad.map((value) => refused(`${what}: ${show(value)}`, make(value))),
]

function show(value: unknown): string {
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 40)}… (${text.length} characters)` : text
}

const withField = (field: Field): unknown => ({ ...minimal, ...field })
const withGateway = (field: Field): unknown => ({ ...minimal, gateway: { ...minimal.gateway, ...field } })
const withTarget = (field: Field): unknown => ({ ...minimal, targets: [{ name: 'enos-token', ...field }] })
const without = (field: keyof typeof minimal): unknown => {
  return Object.fromEntries(Object.entries(minimal).filter(([name]) => name !== field))
}
const many = (count: number): { name: string }[] => [...Array(count).keys()].map((at) => ({ name: `target-${at}` }))
const entries = (count: number, value: string): Field => {
  return Object.fromEntries([...Array(count).keys()].map((at) => [`key-${at}`, value]))
}

const badNames = ['', 'Upper', 'under_score', '-a', 'a-', 'a..b', 'a/b', 'a b', 'ü', 'a'.repeat(254), 1, null]
const goodNames = ['a', 'a-b.c0', '0', `${'a'.repeat(63)}.${'b'.repeat(63)}`]

const header = (field: Field): Field => ({ name: 'x-plant', secretKeyRef: { name: 'headers', key: 'a' }, ...field })
const headers = (count: number): Field[] => [...Array(count).keys()].map((at) => header({ name: `x-${at}` }))

export const specCases: readonly SpecCase[] = [
  accepted('only the required fields', minimal),
  accepted('every field', full),
  refused('no fields', {}),
  refused('no gateway', without('gateway')),
  refused('no appKeyRef', without('appKeyRef')),
  refused('no appSecretRef', without('appSecretRef')),
  refused('no targets', without('targets')),
  refused('a list in place of an object', withField({ gateway: [] })),

  ...both(
    'gateway.url',
    [
      'https://apim.example.com',
      'https://apim.example.com/',
      'https://apim.example.com:1',
      'https://apim.example.com:65535/a/b%20c',
      'https://127.0.0.1:8443',
      'https://[::1]:8443/base',
      'https://localhost',
    ],
    [
      '',
      'apim.example.com',
      'ftp://apim.example.com',
      'https://',
      'https://user:password@apim.example.com',
      'https://user@apim.example.com',
      'https://apim.example.com?query',
      'https://apim.example.com/#fragment',
      'https://apim.example.com/a b',
      ' https://apim.example.com',
      'https://apim.example.com\n',
      'https://apim.example.com:0',
      'https://apim.example.com:65536',
      'https://apim.example.com:',
      'https://APIM.example.com',
      'HTTPS://apim.example.com',
      'https://apim..example.com',
      'https://-apim.example.com',
      `https://apim.example.com/${'a'.repeat(1000)}`,
      1,
      null,
    ],
    (url) => withGateway({ url }),
  ),
  refused('http without allowInsecureHTTP', withGateway({ url: 'http://edge.example.com' })),
  refused('http with allowInsecureHTTP: false', withGateway({ url: 'http://edge', allowInsecureHTTP: false })),
  accepted('http with allowInsecureHTTP: true', withGateway({ url: 'http://edge:8080', allowInsecureHTTP: true })),
  accepted('https with allowInsecureHTTP: true', withGateway({ allowInsecureHTTP: true })),
  refused('allowInsecureHTTP as text', withGateway({ allowInsecureHTTP: 'true' })),
  ...both(
    'gateway.caRef',
    [
      { kind: 'Secret', name: 'ca' },
      { kind: 'ConfigMap', name: 'ca', key: 'ca.pem' },
    ],
    [
      {},
      { kind: 'Secret' },
      { name: 'ca' },
      { kind: 'Pod', name: 'ca' },
      { kind: 'Secret', name: '' },
      { kind: 'Secret', name: 'ca', key: '' },
      { kind: 'Secret', name: 'ca', key: 'a/b' },
    ],
    (caRef) => withGateway({ caRef }),
  ),
  ...both(
    'gateway.timeout',
    ['100ms', '5s', '1s500ms', '0h10s', '59s1000ms', '1m', '0000000000000000000000000000010s'],
    [
      ...[
        '0s',
        '0h0ms',
        '1ms',
        '99ms',
        '60001ms',
        '100000ms',
        '1m1ms',
        '5m',
        '1h',
        '99999999h',
        '9999999999999999999999999999ms',
      ],
      ...['10', 's', '1.5s', '-1s', '1 s', '1d', '', 10],
    ],
    (timeout) => withGateway({ timeout }),
  ),

  ...both(
    'gateway.tlsServerName',
    ['apim.example.com', 'localhost', '3com.com', 'a.0x1', `${'a'.repeat(63)}.${'b'.repeat(63)}`],
    ['', 'APIM.example.com', '127.0.0.1', '1', '::1', '[::1]', 'apim.example.com:443', '*.example.com', 'a..b', 'ü', 1],
    (tlsServerName) => withGateway({ tlsServerName }),
  ),
  ...both(
    'gateway.headersFrom',
    [[], headers(8), [header({ name: 'A' }), header({ name: 'B' })]],
    [
      headers(9),
      {},
      [{}],
      [{ name: 'x-a' }],
      [{ secretKeyRef: { name: 'headers', key: 'a' } }],
      [header({ secretKeyRef: { name: 'headers' } })],
      [header({ secretKeyRef: { key: 'a' } })],
      [header({ secretKeyRef: { name: 'Headers', key: 'a' } })],
      [header({ secretKeyRef: { name: 'headers', key: 'a/b' } })],
      [header({}), header({})],
      [header({ name: 'X-Plant' }), header({ name: 'a' }), header({ name: 'x-plant' })],
    ],
    (headersFrom) => withGateway({ headersFrom }),
  ),
  ...both(
    'gateway.headersFrom[].name',
    [
      ...['Ocp-Apim-Subscription-Key', 'Authorization', 'x', "!#$%&'*+-.^_`|~09", 'h'.repeat(128)],
      // Names that resemble refused ones.
      ...['x-host', 'content', 'proxy', 'tea', 'x-forwarded', 'x-via', 'accept', 'hosts', 'te2'],
    ],
    [
      ...['', 'a b', 'a:', 'a/b', 'a(b)', 'ü', 'a\n', 'a\r\nb', ' a', '"a"', 'h'.repeat(129), 1, null],
      ...['Host', 'host', 'Connection', 'KEEP-ALIVE', 'Content-Type', 'content-length', 'Content-', 'CONTENT-MD5'],
      ...['Transfer-Encoding', 'TE', 'te', 'Trailer', 'Upgrade', 'Expect', 'HTTP2-Settings', 'Proxy-Authorization'],
      ...['proxy-connection', 'Accept-Encoding', 'Via', 'Forwarded', 'X-Forwarded-For', 'x-forwarded-host'],
      ...['X-HTTP-Method-Override', 'x-http-method-override', '__proto__'],
    ],
    (name) => withGateway({ headersFrom: [header({ name })] }),
  ),

  ...both('appKeyRef.name', goodNames, badNames, (name) => withField({ appKeyRef: { name } })),
  ...both('appSecretRef.name', goodNames, badNames, (name) => withField({ appSecretRef: { name } })),
  ...both(
    'appSecretRef.key',
    ['a', 'A_b-c.d', '..data', 'k'.repeat(253)],
    ['', 'a b', 'a/b', 'ü', 'k'.repeat(254), 1],
    (key) => withField({ appSecretRef: { name: 'enos-app', key } }),
  ),

  // Durations beyond the maximum of CEL.
  ...both('renewBefore', ['1ms', '1s', '90m', '48h', '99999999h'], ['0s', 'soon', ''], (renewBefore) =>
    withField({ renewBefore }),
  ),
  ...both('verifyEvery', ['1s', '5s', '10s', '48h'], ['0ms', '', '10 s'], (verifyEvery) => withField({ verifyEvery })),
  ...both('renewalMethod', ['Auto', 'Refresh', 'Get'], ['auto', '', 'Put'], (renewalMethod) =>
    withField({ renewalMethod }),
  ),
  ...both('propagation', ['Kubelet', 'Immediate'], ['immediate', ''], (propagation) => withField({ propagation })),
  ...both('suspend', [true, false], ['true', 1], (suspend) => withField({ suspend })),
  ...both(
    'restartOnRenewal',
    [[], [{ kind: 'Deployment', name: 'reports' }], many(16).map(({ name }) => ({ kind: 'DaemonSet', name }))],
    [
      [{ kind: 'Job', name: 'a' }],
      [{ kind: 'Deployment' }],
      [{ name: 'a' }],
      [{ kind: 'Deployment', name: 'A' }],
      many(17).map(({ name }) => ({ kind: 'DaemonSet', name })),
      {},
    ],
    (restartOnRenewal) => withField({ restartOnRenewal }),
  ),

  ...both('targets', [many(1), many(16)], [[], many(17), {}, [{}], ['enos-token']], (targets) =>
    withField({ targets }),
  ),
  refused('two targets of one name', withField({ targets: [{ name: 'a' }, { name: 'b' }, { name: 'a' }] })),
  refused('a target that is the source of the appKey', {
    ...minimal,
    appKeyRef: { name: 'key' },
    targets: [{ name: 'key' }],
  }),
  refused('a target that is the source of the appSecret', withField({ targets: [{ name: 'enos-app' }] })),
  refused(
    'a valid target beside a target that is the source of the appKey',
    withField({ targets: [{ name: 'enos-token' }, { name: 'enos-app' }] }),
  ),
  refused(
    'a target that is the source of a header',
    withGateway({ headersFrom: [header({}), header({ name: 'x', secretKeyRef: { name: 'enos-token', key: 'a' } })] }),
  ),
  accepted('a target that is merged into the source of a header', {
    ...(withGateway({ headersFrom: [header({ secretKeyRef: { name: 'enos-token', key: 'a' } })] }) as Field),
    targets: [{ name: 'enos-token', creationPolicy: 'Merge' }],
  }),
  accepted(
    'a target that is merged into its own source',
    withField({ targets: [{ name: 'enos-app', creationPolicy: 'Merge' }] }),
  ),
  ...both('targets[].name', goodNames, badNames, (name) => withTarget({ name })),
  ...both(
    'targets[].type',
    ['Opaque', 'example.com/token', 'kubernetes.io'],
    ['', 'kubernetes.io/tls', 'bootstrap.kubernetes.io/token', 'helm.sh/release.v1', 't'.repeat(254)],
    (type) => withTarget({ type }),
  ),
  ...both(
    'targets[].labels',
    [{}, { a: 'b' }, { 'example.com/a': '' }, { a: 'v'.repeat(63) }, entries(32, 'v')],
    [
      entries(33, 'v'),
      { 'enos.io/credential': 'x' },
      { 'app.kubernetes.io/name': 'x' },
      { 'k8s.io/x': 'x' },
      { 'a b': 'x' },
      { '': 'x' },
      { ['a'.repeat(64)]: 'x' },
      { a: 'v'.repeat(64) },
      { a: 'ü' },
      { a: '-x' },
      { a: 1 },
    ],
    (labels) => withTarget({ labels }),
  ),
  ...both(
    'targets[].annotations',
    [{}, { 'example.com/a': 'any text: ü\n' }, entries(32, 'v')],
    [
      entries(33, 'v'),
      { 'enos.io/expires-at': 'x' },
      { 'kubernetes.io/x': 'x' },
      { 'a b': 'x' },
      { a: 'v'.repeat(16_385) },
    ],
    (annotations) => withTarget({ annotations }),
  ),
  ...both(
    'targets[].data',
    [
      { token: '{{ accessToken }}' },
      { 'A_b-c.d': '' },
      { a: 't'.repeat(16_384) },
      { ['k'.repeat(253)]: 'x' },
      entries(64, 'x'),
    ],
    [
      {},
      entries(65, 'x'),
      { '': 'x' },
      { 'a b': 'x' },
      { 'a/b': 'x' },
      { '.': 'x' },
      { '..': 'x' },
      { '..data': 'x' },
      { a: 't'.repeat(16_385) },
      { ['k'.repeat(254)]: 'x' },
      { a: 1 },
      { a: null },
    ],
    (data) => withTarget({ data }),
  ),
  ...both('targets[].creationPolicy', ['Owner', 'Merge'], ['owner', 'Orphan', ''], (creationPolicy) =>
    withTarget({ creationPolicy }),
  ),
  ...both('targets[].deletionPolicy', ['Delete', 'Retain'], ['Keep', ''], (deletionPolicy) =>
    withTarget({ deletionPolicy }),
  ),
  refused('Merge with a type', withTarget({ creationPolicy: 'Merge', type: 'Opaque' })),
  refused('Merge with labels', withTarget({ creationPolicy: 'Merge', labels: { a: 'b' } })),
  refused('Merge with annotations', withTarget({ creationPolicy: 'Merge', annotations: { a: 'b' } })),
  accepted(
    'labels and annotations with the default creationPolicy',
    withTarget({ labels: { a: 'b' }, annotations: { a: 'b' } }),
  ),
  accepted('Merge that retains its keys', withTarget({ creationPolicy: 'Merge', deletionPolicy: 'Retain' })),
]

export { full as fullSpec, minimal as minimalSpec }
