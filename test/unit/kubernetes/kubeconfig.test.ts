import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { GivenText } from '../../../src/config/run-config.ts'
import { chooseKubeconfig, currentNamespace } from '../../../src/kubernetes/kubeconfig.ts'
import { KubeconfigError } from '../../../src/kubernetes/kubeconfig-error.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kubeconfig-'))
})
afterEach(() => {
  rmSync(directory, { recursive: true })
})

function write(path: string, content: string): string {
  const file = join(directory, path)
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, content)
  writeFileSync(join(file, '..', 'ca.crt'), 'a certificate')
  return file
}

/** A kubeconfig in which everything has the same name. */
function kubeconfigOf(name: string, { namespace = '', isCurrent = true, port = 6443 } = {}): string {
  return [
    'apiVersion: v1',
    'kind: Config',
    `clusters: [{ name: ${name}, cluster: { server: 'https://${name}:${port}', certificate-authority: ca.crt } }]`,
    `users: [{ name: ${name}, user: { token: token-of-${name} } }]`,
    `contexts: [{ name: ${name}, context: { cluster: ${name}, user: ${name}, namespace: '${namespace}' } }]`,
    ...(isCurrent ? [`current-context: ${name}`] : []),
  ].join('\n')
}

const fileOf = (text: string): GivenText => ({ text, from: '--kubeconfig' })
const contextOf = (text: string): GivenText => ({ text, from: '--context' })

function inPod(): { environment: { KUBERNETES_SERVICE_HOST: string }; serviceAccountDirectory: string } {
  write('sa/token', 'pod-token')
  write('sa/namespace', 'enos-system\n')
  return { environment: { KUBERNETES_SERVICE_HOST: '10.0.0.1' }, serviceAccountDirectory: join(directory, 'sa') }
}

function failureOf(load: () => unknown): KubeconfigError {
  try {
    load()
  } catch (error) {
    if (error instanceof KubeconfigError) return error
    throw error
  }
  throw new Error('expected a KubeconfigError, but the kubeconfig was loaded')
}

describe('chooseKubeconfig: source', () => {
  it('--kubeconfig goes before all other sources', () => {
    const file = fileOf(write('flag', kubeconfigOf('flag')))
    const KUBECONFIG = write('variable', kubeconfigOf('variable'))
    const { environment, serviceAccountDirectory } = inPod()
    const { load } = chooseKubeconfig({ file, environment: { ...environment, KUBECONFIG }, serviceAccountDirectory })
    expect(load().getCurrentCluster()?.server).toBe('https://flag:6443')
  })

  it('KUBECONFIG goes before the service account of the pod', () => {
    const KUBECONFIG = write('variable', kubeconfigOf('variable'))
    const { environment, serviceAccountDirectory } = inPod()
    const { load } = chooseKubeconfig({
      file: fileOf(''),
      environment: { ...environment, KUBECONFIG },
      serviceAccountDirectory,
    })
    expect(load().getCurrentCluster()?.server).toBe('https://variable:6443')
  })

  it('the service account of the pod goes before ~/.kube/config', () => {
    write('home/.kube/config', kubeconfigOf('home'))
    const { environment, serviceAccountDirectory } = inPod()
    const HOME = join(directory, 'home')
    const { load } = chooseKubeconfig({
      environment: { ...environment, HOME },
      serviceAccountDirectory,
    })
    expect(load().getCurrentCluster()?.server).toBe('https://10.0.0.1:443')
  })

  it('~/.kube/config is used in a pod that mounts no token', () => {
    write('home/.kube/config', kubeconfigOf('home'))
    const environment = { HOME: join(directory, 'home'), KUBERNETES_SERVICE_HOST: '10.0.0.1' }
    const { load } = chooseKubeconfig({
      environment,
      serviceAccountDirectory: join(directory, 'none'),
    })
    expect(load().getCurrentCluster()?.server).toBe('https://home:6443')
  })

  it('the source stays the same when another one appears later', () => {
    const { environment, serviceAccountDirectory } = inPod()
    write('home/.kube/config', kubeconfigOf('home'))
    const HOME = join(directory, 'home')
    const { load } = chooseKubeconfig({
      environment: { ...environment, HOME },
      serviceAccountDirectory,
    })
    rmSync(join(serviceAccountDirectory, 'token'))
    expect(load().getCurrentCluster()?.server).toBe('https://10.0.0.1:443')
  })

  it('an error says how to set a kubeconfig when there is none', () => {
    const { load } = chooseKubeconfig({ environment: { HOME: directory } })
    expect(failureOf(load).message).toBe(
      `no kubeconfig found: ${join(directory, '.kube/config')} does not exist; set --kubeconfig or KUBECONFIG, ` +
        'or run in a pod that mounts its service account token',
    )
  })
})

it('the load of chooseKubeconfig reads the file anew each time', () => {
  const file = fileOf(write('config', kubeconfigOf('old')))
  const { load } = chooseKubeconfig({ file, environment: {} })
  expect(load().getCurrentUser()?.token).toBe('token-of-old')
  write('config', kubeconfigOf('new'))
  expect(load().getCurrentUser()?.token).toBe('token-of-new')
})

it('the load of chooseKubeconfig resolves relative paths against the directory of the file', () => {
  const file = fileOf(write('sub/config', kubeconfigOf('a')))
  const { load } = chooseKubeconfig({ file, environment: {} })
  expect(load().getCurrentCluster()?.caFile).toBe(join(directory, 'sub/ca.crt'))
})

describe('chooseKubeconfig: several files in KUBECONFIG', () => {
  const load = (...files: string[]) => chooseKubeconfig({ environment: { KUBECONFIG: files.join(':') } }).load()

  it('files are merged, and the first current-context wins', () => {
    const a = write('a', kubeconfigOf('a', { isCurrent: false }))
    const b = write('b', kubeconfigOf('b'))
    const c = write('c', kubeconfigOf('c'))
    const config = load(a, b, c)
    expect(config.getCurrentContext()).toBe('b')
    expect(config.getClusters().map(({ name }) => name)).toEqual(['a', 'b', 'c'])
    expect(config.getUser('c')?.token).toBe('token-of-c')
  })

  it('the first of two entries of one name wins', () => {
    const first = write('first', kubeconfigOf('a', { port: 1 }))
    const second = write('second', kubeconfigOf('a', { port: 2 }))
    expect(load(first, second).getCurrentCluster()?.server).toBe('https://a:1')
  })

  it('some files may be missing, but not all', () => {
    const a = write('a', kubeconfigOf('a'))
    const [none, never] = [join(directory, 'none'), join(directory, 'never')]
    expect(load(none, '', a).getCurrentContext()).toBe('a')
    expect(failureOf(() => load(none, never)).message).toBe(
      `${none} (from KUBECONFIG) does not exist; set a file that this user may read`,
    )
  })
})

describe('chooseKubeconfig: --context', () => {
  it('goes before current-context, with the cluster, the user and the namespace of that context', () => {
    const a = write('a', kubeconfigOf('a', { namespace: 'plant-a' }))
    const b = write('b', kubeconfigOf('b', { namespace: 'plant-b' }))
    const config = chooseKubeconfig({ context: contextOf('b'), environment: { KUBECONFIG: `${a}:${b}` } }).load()
    expect([config.getCurrentCluster()?.server, config.getCurrentUser()?.token, currentNamespace(config)]).toEqual([
      'https://b:6443',
      'token-of-b',
      'plant-b',
    ])
  })

  it('needs no current-context, and is not set when it is empty', () => {
    const file = fileOf(write('a', kubeconfigOf('a', { isCurrent: false })))
    expect(
      chooseKubeconfig({ file, context: contextOf('a'), environment: {} })
        .load()
        .getCurrentContext(),
    ).toBe('a')
    expect(failureOf(chooseKubeconfig({ file, context: contextOf(''), environment: {} }).load).message).toContain(
      'no current-context',
    )
  })

  it('applies to ~/.kube/config', () => {
    write('.kube/config', kubeconfigOf('a', { isCurrent: false }))
    const { load } = chooseKubeconfig({ context: contextOf('a'), environment: { HOME: directory } })
    expect(load().getCurrentCluster()?.server).toBe('https://a:6443')
  })

  it('of an unknown name is refused with the names that are known, at most five', () => {
    const files = ['a', 'b', 'c', 'd', 'e', 'f', 'a'].map((name, at) => write(`${at}`, kubeconfigOf(name)))
    const failure = (...of: string[]): string =>
      failureOf(chooseKubeconfig({ context: contextOf('prod'), environment: { KUBECONFIG: of.join(':') } }).load)
        .message
    const two = files.slice(0, 2)
    expect(failure(...two)).toBe(
      `the kubeconfig ${two.join(':')} (from KUBECONFIG, with context prod from --context) has no context of that name; expected one of a, b`,
    )
    expect(failure(...files)).toMatch(/; expected one of a, b, c, d, e and 1 more$/)
    expect(failure(write('none', 'kind: Config'))).toMatch(/has no context of that name; there is none$/)
  })

  it('needs a kubeconfig, which the service account of a pod is not', () => {
    const { load } = chooseKubeconfig({ context: contextOf('prod'), ...inPod() })
    expect(failureOf(load).message).toBe(
      'context prod (from --context) needs a kubeconfig, and the service account of the pod would be used; ' +
        'set --kubeconfig or KUBECONFIG, or leave out --context',
    )
  })
})

describe('chooseKubeconfig: an error names what gave', () => {
  const context = { text: 'prod', from: 'ENOS_CONTEXT' }

  it('the file', () => {
    const file = { text: '/nowhere/config', from: 'ENOS_KUBECONFIG' }
    expect(failureOf(chooseKubeconfig({ file, environment: {} }).load).message).toBe(
      '/nowhere/config (from ENOS_KUBECONFIG) does not exist; set a file that this user may read',
    )
  })

  it('the context that no file has', () => {
    const file = { text: write('a', kubeconfigOf('a')), from: 'ENOS_KUBECONFIG' }
    expect(failureOf(chooseKubeconfig({ file, context, environment: {} }).load).message).toBe(
      `the kubeconfig ${file.text} (from ENOS_KUBECONFIG, with context prod from ENOS_CONTEXT) has no context of that name; expected one of a`,
    )
  })

  it('the context that the service account of a pod does not have', () => {
    expect(failureOf(chooseKubeconfig({ context, ...inPod() }).load).message).toMatch(
      /^context prod \(from ENOS_CONTEXT\) needs .* or leave out ENOS_CONTEXT$/,
    )
  })
})

describe('chooseKubeconfig: in a pod', () => {
  it('the service account’s files are used, and an IPv6 address is put in brackets', () => {
    const { serviceAccountDirectory } = inPod()
    const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' }
    const config = chooseKubeconfig({ environment, serviceAccountDirectory }).load()
    expect(config.getCurrentCluster()).toMatchObject({
      server: 'https://[fd00::1]:6443',
      caFile: join(serviceAccountDirectory, 'ca.crt'),
      skipTLSVerify: false,
    })
  })

  it('the token in the file is sent', async () => {
    const pod = inPod()
    const config = chooseKubeconfig({ ...pod }).load()
    const options = { headers: {} }
    await config.applyToHTTPSOptions(options)
    expect(options.headers).toEqual({ Authorization: 'Bearer pod-token' })
  })
})

describe('currentNamespace', () => {
  it('the namespace of the pod is used in a pod', () => {
    expect(currentNamespace(chooseKubeconfig({ ...inPod() }).load())).toBe('enos-system')
  })

  it('the namespace of the context is used elsewhere, else default', () => {
    const named = write('named', kubeconfigOf('a', { namespace: 'plant-a' }))
    const unnamed = write('unnamed', kubeconfigOf('a'))
    expect(currentNamespace(chooseKubeconfig({ file: fileOf(named), environment: {} }).load())).toBe('plant-a')
    expect(currentNamespace(chooseKubeconfig({ file: fileOf(unnamed), environment: {} }).load())).toBe('default')
  })
})

describe('chooseKubeconfig: an unusable file', () => {
  const secret = 'hunter2-token'
  const cluster = 'clusters: [{ name: a, cluster: { server: https://a } }]'
  const user = `users: [{ name: a, user: { token: ${secret} } }]`
  it.each([
    ['is empty', '', 'is not a valid kubeconfig'],
    ['is a list', '[1, 2]', 'is not a valid kubeconfig'],
    ['is not YAML', `users: [{ token: "${secret}`, 'is not a valid kubeconfig'],
    ['is not YAML in line 2', `a: b\nc: !!! ${secret}`, 'is not a valid kubeconfig: line 2 is not valid YAML; check'],
    ['is text', secret, 'is not a valid kubeconfig: expected YAML with clusters, contexts and users; check it with'],
    ['lacks a server', `clusters: [{ name: ${secret}, cluster: {} }]`, 'clusters[0].cluster.server is missing'],
    ['has no current context', `${cluster}\n${user}`, 'kubectl config use-context'],
    ['names no context', `${cluster}\n${user}\ncurrent-context: ${secret}`, 'no context of the name'],
    [
      'names no cluster',
      `${user}\ncontexts: [{ name: a, context: { cluster: ${secret}, user: a } }]\ncurrent-context: a`,
      'has no cluster of the name',
    ],
    [
      'names no user',
      `${cluster}\ncontexts: [{ name: a, context: { cluster: a, user: ${secret} } }]\ncurrent-context: a`,
      'has no user of the name',
    ],
  ])('a file that %s is named in an error with the remedy and nothing of the content', (_what, content, expected) => {
    const file = write('config', content)
    const error = failureOf(chooseKubeconfig({ file: fileOf(file), environment: {} }).load)
    expect(error.message).toContain(`${file} (from --kubeconfig)`)
    expect(error.message).toContain(expected)
    expect(`${error.message} ${error.stack ?? ''} ${JSON.stringify(error)}`).not.toContain(secret)
    expect(error.cause).toBeUndefined()
  })

  const pem = (label: string): string => `-----BEGIN ${label}-----\n${secret}\n-----END ${label}-----\n`
  it.each([
    ['certificate-authority-data', 'cluster', '!!!', 'holds no certificates in PEM'],
    ['certificate-authority-data', 'cluster', secret, 'holds no certificates in PEM'],
    ['certificate-authority-data', 'cluster', pem('PRIVATE KEY'), 'holds no certificates in PEM, but a PRIVATE KEY'],
    ['certificate-authority-data', 'cluster', pem('CERTIFICATE'), 'holds an invalid certificate (number 1 of 1)'],
    ['certificate-authority-data', 'cluster', 7, 'is not a string'],
    ['client-certificate-data', 'user', secret, 'holds no certificates in PEM'],
    ['client-key-data', 'user', secret, 'holds no private key in PEM'],
    ['client-key-data', 'user', pem('CERTIFICATE'), 'holds no private key in PEM'],
  ] as const)('%s of the current %s that is no base64 of PEM is named: %j', (field, of, value, problem) => {
    const isText = typeof value === 'string' && value !== '!!!'
    const fields = (one: string) =>
      of === one ? { [field]: isText ? Buffer.from(value).toString('base64') : value } : {}
    const file = write(
      'config',
      JSON.stringify({
        clusters: [{ name: 'a', cluster: { server: 'https://a', ...fields('cluster') } }],
        users: [{ name: 'a', user: fields('user') }],
        contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
        'current-context': 'a',
      }),
    )
    const { message } = failureOf(chooseKubeconfig({ file: fileOf(file), environment: {} }).load)
    expect(message).toContain(`${file} (from --kubeconfig) has a ${field} in the current ${of} that ${problem}`)
    expect(message).toMatch(/; expected base64 of PEM$/)
    expect(message).not.toContain(secret)
  })

  it('a directory is named in the error, with the reason', () => {
    const error = failureOf(chooseKubeconfig({ file: fileOf(directory), environment: {} }).load)
    expect(error.message).toBe(
      `${directory} (from --kubeconfig) cannot be read (EISDIR); set a file that this user may read`,
    )
  })
})
