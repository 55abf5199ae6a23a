import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../src/kubernetes/connect.ts'
import { ApiError } from '../../src/kubernetes/errors.ts'
import { type KubernetesClient, secrets } from '../../src/kubernetes/types.ts'
import { SystemClock } from '../../src/lib/clock.ts'
import { selfSigned } from '../support/certificate.ts'
import { eventually, useHarness } from './harness.ts'
import { has } from './kubernetes-version.ts'

const harness = useHarness()
const outsidersText = 'text-of-an-outsider'
let namespace: string
let webhook: Server
let verdict: object
const cleanUp: string[] = []

beforeAll(async () => {
  namespace = await harness().namespace()
  await harness().createSecret(namespace, 'victim', { a: 'b' })
})

afterAll(async () => {
  webhook.close()
  for (const object of cleanUp) await harness().kubectl(['delete', object, '--ignore-not-found'])
})

/** Applies objects that are not namespaced; they end with the file. */
async function apply(...items: { kind: string; metadata: { name: string } }[]): Promise<void> {
  for (const { kind, metadata } of items) cleanUp.push(`${kind}/${metadata.name}`)
  await harness().kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
}

/** What the API server answers to a change of a Secret, once it refuses it. */
async function refusal(name: string, client: KubernetesClient = harness().admin): Promise<ApiError> {
  return await eventually(async () => {
    const body = { metadata: { annotations: { at: String(performance.now()) } } }
    const error: unknown = await client.patch(secrets, { namespace, name }, { type: 'merge', body }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (!(error instanceof ApiError)) throw new Error('the patch was not refused')
    expect(JSON.stringify([error, error.message])).not.toContain(outsidersText)
    return error
  })
}

const rule = { apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['secrets'] }
const only = (name: string): object => ({
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
  resourceRules: [{ ...rule, resourceNames: [name] }],
})

describe('a refusal by the API server', () => {
  it('names the ValidatingAdmissionPolicy that denied the request', async () => {
    await harness().createSecret(namespace, 'validated', { a: 'b' })
    const apiVersion = 'admissionregistration.k8s.io/v1'
    await apply(
      {
        apiVersion,
        kind: 'ValidatingAdmissionPolicy',
        metadata: { name: 'freeze.example.com' },
        spec: {
          matchConstraints: only('validated'),
          validations: [{ expression: 'false', message: outsidersText, reason: 'Forbidden' }],
        },
      } as never,
      {
        apiVersion,
        kind: 'ValidatingAdmissionPolicyBinding',
        metadata: { name: 'freeze-all' },
        spec: { policyName: 'freeze.example.com', validationActions: ['Deny'] },
      } as never,
    )
    const error = await refusal('validated')
    expect(error.message).toBe(
      `patch secrets ${namespace}/validated: HTTP 403 Forbidden (ValidatingAdmissionPolicy "freeze.example.com" denied the request)`,
    )
    expect(error.isPermissionMissing).toBe(false)
  })

  it.skipIf(!has('MutatingAdmissionPolicy v1'))(
    'names the MutatingAdmissionPolicy that denied the request',
    async () => {
      await harness().createSecret(namespace, 'mutated', { a: 'b' })
      const apiVersion = 'admissionregistration.k8s.io/v1'
      const expression = `JSONPatch{op: "add", path: "/metadata/annotations/x", value: object.metadata.annotations["${outsidersText}"]}`
      await apply(
        {
          apiVersion,
          kind: 'MutatingAdmissionPolicy',
          metadata: { name: 'stamp.example.com' },
          spec: {
            matchConstraints: only('mutated'),
            reinvocationPolicy: 'Never',
            failurePolicy: 'Fail',
            mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression: `[${expression}]` } }],
          },
        } as never,
        {
          apiVersion,
          kind: 'MutatingAdmissionPolicyBinding',
          metadata: { name: 'stamp-all' },
          spec: { policyName: 'stamp.example.com' },
        } as never,
      )
      const error = await refusal('mutated')
      expect(error.admissionDenial).toEqual({
        kind: 'MutatingAdmissionPolicy',
        name: 'stamp.example.com',
        verdict: 'denied',
      })
      expect(error.isPermissionMissing).toBe(false)
    },
  )

  it('names the webhook that denied the request, with and without a text, and one that cannot be called', async () => {
    const certificate = selfSigned()
    webhook = createServer(certificate, (request, response) => {
      let text = ''
      request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      request.on('end', () => {
        const { uid } = (JSON.parse(text) as { request: { uid: string } }).request
        response.setHeader('content-type', 'application/json')
        const answer = { uid, allowed: false, ...verdict }
        response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer }))
      })
    })
    await new Promise<void>((resolve) => webhook.listen(0, '127.0.0.1', resolve))
    const { port } = webhook.address() as AddressInfo
    await apply({
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'deny' },
      webhooks: [
        {
          name: 'deny.example.com',
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
          matchConditions: [{ name: 'victim', expression: 'object.metadata.name == "victim"' }],
          rules: [rule],
          clientConfig: {
            url: `https://127.0.0.1:${port}/`,
            caBundle: Buffer.from(certificate.cert).toString('base64'),
          },
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
          failurePolicy: 'Fail',
          // Longer than a busy machine takes for an answer.
          timeoutSeconds: 10,
        },
      ],
    } as never)
    verdict = { status: { code: 403, reason: outsidersText, message: outsidersText } }
    const withText = await refusal('victim')
    expect(withText.message).toBe(
      `patch secrets ${namespace}/victim: HTTP 403 Unknown (admission webhook "deny.example.com" denied the request)`,
    )
    expect(withText.isPermissionMissing).toBe(false)
    verdict = {}
    expect((await refusal('victim')).admissionDenial).toEqual(withText.admissionDenial)
    webhook.closeAllConnections()
    await new Promise((resolve) => webhook.close(resolve))
    const unreachable = await refusal('victim')
    expect(unreachable.code).toBe(500)
    expect(unreachable.admissionDenial).toEqual({
      kind: 'admission webhook',
      name: 'deny.example.com',
      verdict: 'failed',
    })
  })

  it('says that the permission is missing where RBAC refuses', async () => {
    const connection = connect({
      kubeconfig: { environment: { KUBECONFIG: await harness().serviceAccount(namespace, 'powerless') } },
      clock: new SystemClock(),
      userAgent: 'integration-test',
      fieldManager: 'integration-test',
    })
    const error = await refusal('victim', connection.client)
    expect(error).toMatchObject({ code: 403, isPermissionMissing: true, admissionDenial: undefined })
    const listed: unknown = await connection.client.list(secrets, namespace).catch((thrown: unknown) => thrown)
    expect(listed).toMatchObject({ code: 403, isPermissionMissing: true })
    await connection.close()
  })
})
