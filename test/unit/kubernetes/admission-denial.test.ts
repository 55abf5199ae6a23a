import { describe, expect, it } from 'vitest'
import {
  type AdmissionDenial,
  describeDenial,
  isPermissionRefusal,
  parseAdmissionDenial,
} from '../../../src/kubernetes/admission-denial.ts'

/** As kube-apiserver 1.36 answers; test/integration/admission-denial.test.ts has it say each of them. */
const denials: [string, string, AdmissionDenial][] = [
  [
    'a webhook with a message',
    'admission webhook "deny.example.com" denied the request: s3cr3t-value is too short',
    { kind: 'admission webhook', name: 'deny.example.com', verdict: 'denied' },
  ],
  [
    'a webhook without a message',
    'admission webhook "deny.example.com" denied the request without explanation',
    { kind: 'admission webhook', name: 'deny.example.com', verdict: 'denied' },
  ],
  [
    'a webhook that cannot be called',
    'Internal error occurred: failed calling webhook "deny.example.com": failed to call webhook: Post "https://10.0.0.1/": dial tcp: refused',
    { kind: 'admission webhook', name: 'deny.example.com', verdict: 'failed' },
  ],
  [
    'a ValidatingAdmissionPolicy',
    `deployments.apps "reports" is forbidden: ValidatingAdmissionPolicy 'freeze' with binding 'freeze-all' denied request: frozen`,
    { kind: 'ValidatingAdmissionPolicy', name: 'freeze', verdict: 'denied' },
  ],
  [
    'a ValidatingAdmissionPolicy that is misconfigured',
    `secrets "enos-token" is forbidden: ValidatingAdmissionPolicy 'freeze' denied request: failed to configure policy`,
    { kind: 'ValidatingAdmissionPolicy', name: 'freeze', verdict: 'denied' },
  ],
  [
    'a MutatingAdmissionPolicy',
    `policy 'stamp.example.com' with binding 'stamp' denied request: expression 'x' resulted in error`,
    { kind: 'MutatingAdmissionPolicy', name: 'stamp.example.com', verdict: 'denied' },
  ],
  [
    'a MutatingAdmissionPolicy without a binding',
    `policy "stamp" denied request: failed to configure policy`,
    { kind: 'MutatingAdmissionPolicy', name: 'stamp', verdict: 'denied' },
  ],
]

const permission = `pods "reports-1" is forbidden: User "system:serviceaccount:enos-system:enos" cannot patch resource "pods" in API group "" in the namespace "plant-a"`

describe('parseAdmissionDenial', () => {
  it.each(denials)('takes the name of %s and nothing else', (_, message, expected) => {
    expect(parseAdmissionDenial(message)).toEqual(expected)
  })

  it.each([
    ['a missing permission', permission],
    ['a quota', 'pods "x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1'],
    [
      'Pod Security',
      'pods "x" is forbidden: violates PodSecurity "restricted:latest": host namespaces (hostNetwork=true)',
    ],
    ['an empty message', ''],
    ['a name in capital letters', 'admission webhook "DENY" denied the request: no'],
    ['a name with a newline', 'admission webhook "a\nb" denied the request: no'],
    ['a name of more than 253 characters', `admission webhook "${'a'.repeat(254)}" denied the request: no`],
    ['a name that is not closed', 'admission webhook "deny.example.com denied the request: no'],
    ['a quotation further on', 'no: admission webhook "deny.example.com" denied the request: no'],
    ['words that go on otherwise', 'admission webhook "deny.example.com" denied the requests of others'],
    ['a message of two lines', 'x\nadmission webhook "deny.example.com" denied the request: no'],
  ])('finds nobody in %s', (_, message) => {
    expect(parseAdmissionDenial(message)).toBeUndefined()
  })

  it('is not led astray by a text that imitates another denial', () => {
    const inner = `x "y" is forbidden: ValidatingAdmissionPolicy 'innocent' with binding 'b' denied request: no`
    const message = `admission webhook "deny.example.com" denied the request: ${inner}`
    expect(parseAdmissionDenial(message)?.name).toBe('deny.example.com')
  })

  it('takes no time over a message made to take long', () => {
    const startedAt = performance.now()
    for (const start of ['admission webhook "', `${'a'.repeat(300)} "`, 'x is forbidden: User "']) {
      expect(parseAdmissionDenial(start + 'a.-'.repeat(300_000))).toBeUndefined()
      expect(isPermissionRefusal(start + 'a\\'.repeat(300_000))).toBe(false)
    }
    expect(performance.now() - startedAt).toBeLessThan(500)
  })
})

describe('isPermissionRefusal', () => {
  it.each([
    ['an object', permission],
    [
      'a list',
      'pods is forbidden: User "someone" cannot list resource "pods" in API group "" in the namespace "plant-a"',
    ],
    ['a path', 'forbidden: User "system:anonymous" cannot get path "/metrics"'],
    ['a user whose name has a quotation mark', 'pods is forbidden: User "a\\"b" cannot list resource "pods" at all'],
  ])('is true where an authorizer refuses %s', (_, message) => {
    expect(isPermissionRefusal(message)).toBe(true)
  })

  it.each<[string, string]>([
    ...denials.map(([name, message]): [string, string] => [name, message]),
    ['a webhook that imitates it', `admission webhook "deny.example.com" denied the request: ${permission}`],
    ['a quota', 'pods "x" is forbidden: exceeded quota: small'],
    ['an empty message', ''],
  ])('is false for %s', (_, message) => {
    expect(isPermissionRefusal(message)).toBe(false)
  })
})

describe('describeDenial', () => {
  it.each([
    ['denied', 'admission webhook "deny.example.com" denied the request'],
    ['failed', 'admission webhook "deny.example.com" could not be called'],
  ] as const)('says that a webhook %s', (verdict, text) => {
    expect(describeDenial({ kind: 'admission webhook', name: 'deny.example.com', verdict })).toBe(text)
  })
})
