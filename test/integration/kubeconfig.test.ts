import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { KubeConfig } from '@kubernetes/client-node'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { stringify } from 'yaml'
import { ApiServerAuth } from '../../src/kubernetes/auth.ts'
import { chooseKubeconfig } from '../../src/kubernetes/kubeconfig.ts'
import { Transport } from '../../src/kubernetes/transport.ts'
import { SystemClock } from '../../src/lib/clock.ts'
import { useHarness } from './harness.ts'

const harness = useHarness()
let directory: string
let cluster: { readonly server: string; readonly caData: string }
/** Of a service account that may impersonate anyone. */
let token: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kubeconfig-'))
  const config = new KubeConfig()
  config.loadFromFile(harness().access.kubeconfig)
  const { caData = '', server = '' } = config.getCurrentCluster() ?? {}
  cluster = { server, caData }
  const namespace = await harness().namespace()
  await harness().kubectl(['-n', namespace, 'create', 'serviceaccount', 'jane'])
  token = (await harness().kubectl(['-n', namespace, 'create', 'token', 'jane'])).trim()
  const binding = ['create', 'clusterrolebinding', `jane-${namespace}`, '--clusterrole=cluster-admin']
  await harness().kubectl([...binding, `--serviceaccount=${namespace}:jane`])
  await harness().waitUntilAllowed(namespace, `${namespace}:jane`, 'impersonate', 'users')
})

afterAll(async () => {
  await rm(directory, { recursive: true })
})

async function write(path: string, content: string): Promise<string> {
  const file = join(directory, path)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, content)
  return file
}

const clusters = (fields: object = {}) => [
  { name: 'c', cluster: { server: cluster.server, 'certificate-authority-data': cluster.caData, ...fields } },
]
const contexts = [{ name: 'x', context: { cluster: 'c', user: 'u' } }]

/** A kubeconfig of one user. */
const kubeconfigOf = (user: object) =>
  stringify({ clusters: clusters(), users: [{ name: 'u', user }], contexts, 'current-context': 'x' })

/** Whom the API server takes each for: kubectl, and the operator. */
async function whoAmI(KUBECONFIG: string): Promise<{ kubectl: unknown; operator: unknown }> {
  const env = { ...process.env, KUBECONFIG, HOME: directory }
  const kubectl = join(harness().access.assets, 'kubectl')
  const { stdout } = await promisify(execFile)(kubectl, ['auth', 'whoami', '-o', 'json'], { env })
  const clock = new SystemClock()
  const auth = new ApiServerAuth(chooseKubeconfig({ environment: env }).load, clock, { environment: env })
  const transport = new Transport({ auth, clock, userAgent: 'integration-test' })
  onTestFinished(() => transport.close())
  const { body } = await transport.request({
    call: 'create selfsubjectreviews',
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }),
    signal: AbortSignal.timeout(10_000),
  })
  return { kubectl: userOf(JSON.parse(stdout)), operator: userOf(await body.json()) }
}

function userOf(review: unknown): unknown {
  return (review as { status?: { userInfo?: unknown } }).status?.userInfo
}

describe('a kubeconfig is read as kubectl reads it', () => {
  it('tokenFile goes before token', async () => {
    await write('files/token', `${token}\n`)
    const { kubectl, operator } = await whoAmI(
      await write('files/config', kubeconfigOf({ tokenFile: 'token', token: 'wrong' })),
    )
    expect(operator).toEqual(kubectl)
    expect(operator).toMatchObject({ username: expect.stringMatching(/:jane$/) as string })
  })

  it('an impersonation has user, groups, uid and extra', async () => {
    const user = {
      token,
      as: 'john',
      'as-groups': ['dev, ops', 'system:authenticated'],
      'as-uid': '42',
      'as-user-extra': { 'acme.com/Project': ['a', 'b'], 'scopes %': ['view'] },
    }
    const { kubectl, operator } = await whoAmI(await write('impersonation/config', kubeconfigOf(user)))
    expect(operator).toEqual(kubectl)
    expect(operator).toMatchObject({
      username: 'john',
      uid: '42',
      groups: ['dev, ops', 'system:authenticated'],
      extra: { 'acme.com/project': ['a', 'b'], 'scopes %': ['view'] },
    })
  })

  it('an exec plugin beside the kubeconfig is run, with the cluster in KUBERNETES_EXEC_INFO', async () => {
    const plugin = await write(
      'exec/bin/plugin',
      `#!/bin/sh
      case "$KUBERNETES_EXEC_INFO" in *'"certificate-authority-data":"'*'"audience":"enos"'*) ;; *) exit 4 ;; esac
      echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"'$TOKEN'"}}'`,
    )
    await chmod(plugin, 0o755)
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: 'bin/plugin',
      env: [{ name: 'TOKEN', value: token }],
      interactiveMode: 'IfAvailable',
      provideClusterInfo: true,
    }
    const extensions = [{ name: 'client.authentication.k8s.io/exec', extension: { audience: 'enos' } }]
    const users = [{ name: 'u', user: { exec } }]
    const text = stringify({ clusters: clusters({ extensions }), users, contexts, 'current-context': 'x' })
    const { kubectl, operator } = await whoAmI(await write('exec/config', text))
    expect(operator).toEqual(kubectl)
    expect(operator).toMatchObject({ username: expect.stringMatching(/:jane$/) as string })
  })

  it('several files have relative paths of their own, and broken entries that nothing names', async () => {
    await write('a/ca.crt', Buffer.from(cluster.caData, 'base64').toString())
    await write('b/token', token)
    const ca = { 'certificate-authority-data': undefined, 'certificate-authority': 'ca.crt' }
    const files = [
      await write('a/config', stringify({ clusters: clusters(ca), contexts: [{ name: 'broken', context: {} }] })),
      await write('b/config', stringify({ users: [{ name: 'u', user: { tokenFile: './token' } }] })),
      join(directory, 'missing'),
      await write('c/config', stringify({ contexts, 'current-context': 'x' })),
    ]
    const { kubectl, operator } = await whoAmI(files.join(delimiter))
    expect(operator).toEqual(kubectl)
    expect(operator).toMatchObject({ username: expect.stringMatching(/:jane$/) as string })
  })

  it('a server of kubectl proxy is reached by http://', async () => {
    const { access } = harness()
    const args = ['--kubeconfig', access.kubeconfig, 'proxy', '--port=0', '--reject-methods=^$']
    const proxy = spawn(join(access.assets, 'kubectl'), args, { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void proxy.kill())
    const [printed] = (await once(proxy.stdout, 'data')) as [Buffer]
    const server = `http://${/127\.0\.0\.1:\d+/.exec(String(printed))?.[0] ?? ''}`
    const text = stringify({
      clusters: [{ name: 'c', cluster: { server } }],
      contexts: [{ name: 'x', context: { cluster: 'c' } }],
      'current-context': 'x',
    })
    const { kubectl, operator } = await whoAmI(await write('proxy/config', text))
    expect(operator).toEqual(kubectl)
    expect(operator).toBeDefined()
  })
})
