import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type ApiServerFlags, describeApiError, openApiServer } from '../../../src/commands/api-server.ts'
import { ApiError, isKindUnknown } from '../../../src/kubernetes/errors.ts'
import { chooseKubeconfig } from '../../../src/kubernetes/kubeconfig.ts'
import { credentials } from '../../../src/kubernetes/types.ts'
import { SystemClock } from '../../../src/lib/clock.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { json, kubeconfigFor, startServer } from '../kubernetes/local-server.ts'

const call = 'get enosappcredentials plant-a/wind-farm'
const server = { url: 'https://api.example.com', origin: 'the kubeconfig /home/me/.kube/config' }
const named = 'the API server https://api.example.com (from the kubeconfig /home/me/.kube/config)'

describe('describeApiError', () => {
  it.each([
    [0, 'ECONNREFUSED', `cannot reach ${named}: connection refused (ECONNREFUSED)`],
    [0, 'PROXY_REFUSED_403', `cannot reach ${named}: the proxy refuses to connect (HTTP 403)`],
    [0, 'Timeout', `${named} does not answer in time`],
    [0, 'NotJson', `${named} does not answer in JSON: correct the server in the kubeconfig`],
    [401, 'Unauthorized', `${named} refuses the credentials (HTTP 401): log in again, or use another kubeconfig`],
    [403, 'Forbidden', `forbidden: cannot ${call}`],
    [404, 'NotFound', `not found: ${call}`],
    [404, 'Unknown', `${named} does not serve EnosAppCredentials: install the CRD, crds/ of enos-credential-operator`],
    [503, 'ServiceUnavailable', `${named} answers HTTP 503 (ServiceUnavailable): try again`],
  ])('describes %d %s', (code, reason, text) => {
    expect(describeApiError(new ApiError(call, { code, reason }), server)).toBe(text)
  })

  it.each([
    [400, 'Unknown', 'HTTP 400'],
    [0, 'UND_ERR_SOCKET', 'connection closed (UND_ERR_SOCKET)'],
    [0, 'ECONNRESET', 'connection reset (ECONNRESET)'],
  ])('advises https:// where a port answers %d %s to plain HTTP', (code, reason, seen) => {
    const plain = { ...server, url: 'http://api.example.com' }
    const text = `answers plain HTTP with an error (${seen}): if the port serves TLS, use https:// in the kubeconfig`
    const error = new ApiError(call, { code, reason })
    expect(describeApiError(error, plain)).toBe(`${named.replace('https:', 'http:')} ${text}`)
    expect(describeApiError(error, server)).not.toContain('plain HTTP')
  })

  it('names the file or plugin that cannot be used', () => {
    const error = new ApiError(call, { code: 0, reason: 'KubeconfigUnusable', detail: 'aws is not installed' })
    expect(describeApiError(error, server)).toBe(`cannot reach ${named}: aws is not installed`)
  })

  it('names the admission policy that refused', () => {
    const admissionDenial = { kind: 'ValidatingAdmissionPolicy', name: 'p.example.com', verdict: 'denied' } as const
    const error = new ApiError(call, { code: 403, reason: 'Forbidden', admissionDenial })
    expect(describeApiError(error, server)).toMatch(new RegExp(`^refused: ${call}: .*p\\.example\\.com`))
  })
})

describe('openApiServer', () => {
  it('uses the flags, else their variables, else current-context of KUBECONFIG', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'open-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    const fileOf = async (file: string): Promise<string> => {
      const path = join(directory, file)
      const names = ['dev', 'prod']
      const config = {
        clusters: names.map((name) => ({ name, cluster: { server: `https://${name}.${file}.example` } })),
        contexts: names.map((name) => ({ name, context: { cluster: name, namespace: `of-${name}` } })),
        'current-context': 'dev',
      }
      await writeFile(path, JSON.stringify(config))
      return path
    }
    const [a, b, c] = [await fileOf('a'), await fileOf('b'), await fileOf('c')]
    const open = async (flags: ApiServerFlags, variables: Readonly<Record<string, string>>): Promise<string> => {
      const environment = { KUBECONFIG: a, ...variables }
      const opened = openApiServer({ clock: new FakeClock(), environment }, flags)
      await opened.close()
      return `${opened.url} ${opened.currentNamespace}`
    }
    const variables = { ENOS_CONTEXT: 'prod', ENOS_KUBECONFIG: b }
    expect(await open({}, {})).toBe('https://dev.a.example of-dev')
    expect(await open({}, variables)).toBe('https://prod.b.example of-prod')
    expect(await open({ context: 'dev', kubeconfig: c }, variables)).toBe('https://dev.c.example of-dev')
    expect(await open({ context: 'prod' }, {})).toBe('https://prod.a.example of-prod')
  })

  it('retries a call that the API server refuses with Retry-After, as kubectl does', async () => {
    const list = { metadata: {}, items: [] }
    const api = await startServer('HTTP/1.1', (response, _, count) => {
      if (count === 1) json(response, 429, { reason: 'TooManyRequests' }, { 'retry-after': '0' })
      else json(response, 200, list)
    })
    const directory = await mkdtemp(join(tmpdir(), 'open-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    const kubeconfig = join(directory, 'config')
    await writeFile(kubeconfig, kubeconfigFor(api.url).exportConfig())
    const opened = openApiServer({ clock: new SystemClock(), environment: {} }, { kubeconfig })
    onTestFinished(() => opened.close())
    expect(await opened.client.list(credentials, 'plant-a')).toEqual(list)
    expect(api.received).toHaveLength(2)
  })

  it('names the flags, or the variables where they gave the kubeconfig and the context, in an error', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'open-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    const file = join(directory, 'config')
    await writeFile(file, '{}')
    const open = (flags: ApiServerFlags, environment: Readonly<Record<string, string>>) => () =>
      openApiServer({ clock: new FakeClock(), environment }, flags)
    const variables = { ENOS_CONTEXT: 'prod', ENOS_KUBECONFIG: file }
    expect(open({}, variables)).toThrow('(from ENOS_KUBECONFIG, with context prod from ENOS_CONTEXT) has no context')
    expect(open({ kubeconfig: file, context: 'dev' }, variables)).toThrow(
      '(from --kubeconfig, with context dev from --context) has no context',
    )
  })
})

describe('isKindUnknown', () => {
  it.each([
    [404, 'Unknown', true],
    [404, 'NotFound', false],
    [403, 'Unknown', false],
  ])('returns for %d %s: %s', (code, reason, expected) => {
    expect(isKindUnknown(new ApiError(call, { code, reason }))).toBe(expected)
  })
})

describe('chooseKubeconfig', () => {
  it('names the source that it loads', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'origin-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    await writeFile(join(directory, 'token'), 'marker-token')
    const pod = { KUBERNETES_SERVICE_HOST: '10.0.0.1' }
    const sources = [
      [
        {
          file: { text: '/nowhere/flag', from: '--kubeconfig' },
          environment: { KUBECONFIG: '/nowhere/variable', ...pod },
        },
        '/nowhere/flag',
      ],
      [
        { file: { text: '', from: '--kubeconfig' }, environment: { KUBECONFIG: '/nowhere/a:/nowhere/b', ...pod } },
        '/nowhere/a:/nowhere/b',
      ],
      [{ environment: { HOME: '/nowhere' } }, '/nowhere/.kube/config'],
      [{ environment: {} }, '~/.kube/config'],
    ] as const
    for (const [source, files] of sources) {
      const { from, load } = chooseKubeconfig(source)
      expect(from).toBe(`the kubeconfig ${files}`)
      expect(chooseKubeconfig({ ...source, context: { text: 'prod', from: '--context' } }).from).toBe(
        `the context prod of the kubeconfig ${files}`,
      )
      expect(load).toThrow(files.split(':')[0])
    }
    const inPod = chooseKubeconfig({ environment: pod, serviceAccountDirectory: directory })
    expect(inPod.from).toBe('the service account of the pod')
    expect(inPod.load().getCurrentCluster()?.server).toBe('https://10.0.0.1:443')
  })
})
