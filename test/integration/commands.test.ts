import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest'
import type { Simulator } from '../../simulator/server.ts'
import { version } from '../../src/version.ts'
import { main, useCommands } from './command-line.ts'
import { type Keys, useHarness } from './harness.ts'

const harness = useHarness()
const command = useCommands()
let gateway: Simulator
let namespace: string
let keys: Keys

beforeAll(async () => {
  gateway = await harness().gateway({ lifetimeSeconds: 7200 })
  namespace = await harness().namespace()
  keys = harness().keys()
  gateway.service.addApplication(keys)
})

describe('renew and status', () => {
  it('status shows a resource without status, and an empty namespace', async () => {
    await harness().createCredential(namespace, 'unseen', gateway, keys)
    const { code, stdout } = await command(['status', '--namespace', namespace])
    expect(code).toBe(0)
    expect(stdout).toContain(`${namespace}/unseen: NotReconciled: no operator has reconciled it yet`)
    expect((await command(['status', '-n', 'default'])).stdout).toBe(
      'No EnosAppCredentials found in namespace default.\n',
    )
  })

  it('renew --wait reports that no attempt was made in time', async () => {
    const { code, stdout } = await command(['renew', `${namespace}/unseen`, '--wait', '--timeout', '1s'])
    expect(code).toBe(1)
    expect(stdout).toContain(
      'no attempt within 1s: NotReconciled: no operator has reconciled it yet: is the operator running?',
    )
  })

  it('renew reports a suspended resource at once', async () => {
    await harness().createCredential(namespace, 'paused', gateway, keys, { suspend: true })
    const { code, stdout } = await command(['renew', 'paused', '-n', namespace, '--wait'])
    expect(code).toBe(1)
    expect(stdout).toContain('spec.suspend is true')
    const { metadata } = await harness().getCredential(namespace, 'paused')
    expect(metadata.annotations?.['enos.io/renew-requested-at']).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  })

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s ends renew --wait silently', async (signal) => {
    const waiting = spawn(process.execPath, [main, 'renew', `${namespace}/unseen`, '--wait'], {
      env: { PATH: process.env['PATH'], KUBECONFIG: inject('adminKubeconfig') },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const exited = once(waiting, 'exit')
    let complaint = ''
    waiting.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
    await once(waiting.stdout, 'data')
    waiting.kill(signal)
    expect(await exited).toEqual([1, null])
    expect(complaint).toBe('')
  })

  it.each(['status', 'check', 'renew'])('a signal ends %s while the API server does not answer', async (name) => {
    const silent = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void silent.close())
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const directory = await mkdtemp(join(tmpdir(), 'silent-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    const kubeconfig = join(directory, 'kubeconfig')
    const clusters = [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}` } }]
    const contexts = [{ name: 'x', context: { cluster: 'c' } }]
    await writeFile(kubeconfig, JSON.stringify({ clusters, contexts, 'current-context': 'x' }))
    const child = spawn(process.execPath, [main, name, 'wind-farm'], {
      env: { PATH: process.env['PATH'], KUBECONFIG: kubeconfig },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const exited = once(child, 'exit')
    let complaint = ''
    child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
    await once(silent, 'connection')
    child.kill('SIGINT')
    expect(await exited).toEqual([name === 'check' ? 3 : 1, null])
    expect(complaint).toBe('')
  })

  it('status reports a missing permission to list', async () => {
    const kubeconfig = await harness().serviceAccount(namespace, 'stranger')
    const { code, stderr, stdout } = await command(['status', '--kubeconfig', kubeconfig])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(
      /forbidden: cannot list EnosAppCredentials in all namespaces: give --namespace, or ask for the verb list on enosappcredentials\.enos\.io in all namespaces, which the ClusterRole enosappcredentials-view of the installation grants\n$/,
    )
  })

  it('renew --wait renews a token and prints its expiry', async () => {
    const other = await harness().namespace()
    await harness().operator({ args: ['--no-leader-elect', '--namespace', other] })
    await harness().createCredential(other, 'renewed', gateway, keys)
    await harness().expectReady(other, 'renewed')
    const before = await harness().getCredential(other, 'renewed')
    const { code, stdout } = await command(['renew', `${other}/renewed`, '--wait'])
    const after = await harness().getCredential(other, 'renewed')
    const [requested, outcome] = stdout.split('\n')
    expect(requested).toBe(`${other}/renewed: renewal requested`)
    expect(outcome?.replace(/ \((?:2h|1h59m\d*s?)\)$/, '')).toBe(
      `${other}/renewed: renewed, valid until ${after.status?.expiresAt}`,
    )
    expect(code).toBe(0)
    expect(after.status?.tokenFingerprint).not.toBe(before.status?.tokenFingerprint)

    const table = (await command(['status', '-n', other])).stdout.split('\n')
    expect(table[0]).toMatch(
      /^NAMESPACE +NAME +READY +EXPIRES IN +RENEWS IN +TOKEN AGE +LAST RENEWAL +TARGETS +REASON$/,
    )
    expect(table[1]).toMatch(
      new RegExp(
        `^${other} +renewed +True +(?:2h|1h59m\\d*s?) +1h(?:3\\d|29)m\\d*s? +\\d+s +\\d+s ago by refresh +renewed-token +Synced$`,
      ),
    )
    expect(table.at(-2)).toBe('1 of 1 ready')
    const rows = JSON.parse((await command(['status', '-n', other, '--output', 'json'])).stdout) as object[]
    expect(rows).toEqual([expect.objectContaining({ namespace: other, name: 'renewed', ready: 'True' })])

    const detail = (await command(['status', 'eac/renewed', '-n', other])).stdout
    expect(detail).toMatch(/^Name: +renewed\nNamespace: +/)
    expect(detail).toMatch(/Last renewal: +\S+Z \(\d+s ago\), by refresh\n/)
    expect(detail).toMatch(/renewed-token +Owner, Delete +accessToken, expiresAt /)
    expect(detail).toMatch(/Secret renewed-app +appKey, appSecret +spec.appKeyRef, spec.appSecretRef +\d+\n/)
    const shown = JSON.parse((await command(['status', `${other}/renewed`, '-o', 'json'])).stdout) as object
    expect(shown).toMatchObject({
      row: { name: 'renewed' },
      gateway: gateway.url,
      targets: [{ name: 'renewed-token' }],
    })
  })

  it('renew --wait reports that the gateway returned the same token', async () => {
    const other = await harness().namespace()
    await harness().operator({ args: ['--no-leader-elect', '--namespace', other] })
    await harness().createCredential(other, 'the-same', gateway, keys, { renewalMethod: 'Get' })
    await harness().expectReady(other, 'the-same')
    const { code, stdout } = await command(['renew', `${other}/the-same`, '--wait'])
    expect(stdout).toContain(`${other}/the-same: not renewed: the gateway returned the same token`)
    expect(code).toBe(1)
  })

  it('renew --wait prints the reason of a failure', async () => {
    const other = await harness().namespace()
    await harness().operator({ args: ['--no-leader-elect', '--namespace', other] })
    await harness().createCredential(other, 'failing', gateway, harness().keys())
    const { code, stdout } = await command(['renew', `${other}/failing`, '--wait'])
    expect(code).toBe(1)
    expect(stdout).toContain('not renewed: AppKeyNotFound: ')
    const status = (await command(['status', '-n', other])).stdout
    expect(status).toContain('AppKeyNotFound')
    expect(status).toContain('0 of 1 ready')
  })
})

describe('the command line', () => {
  it.each(['run', 'check', 'renew', 'status'])('%s --help prints usage and examples', async (name) => {
    const { code, stdout } = await command([name, '--help'])
    expect(code).toBe(0)
    expect(stdout).toContain(`Usage: enos-credential-operator ${name}`)
    expect(stdout).toContain(`Examples:\n  enos-credential-operator ${name}`)
  })

  it('--help lists the commands and --version prints the version', async () => {
    expect((await command(['--version'])).stdout).toBe(`${version}\n`)
    const { code, stdout } = await command(['--help'])
    expect(code).toBe(0)
    expect((await command(['help'])).stdout).toBe(stdout)
    for (const name of ['run', 'check', 'renew', 'status']) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'))
  })

  const http = ['--gateway', 'http://edge.example.com']
  it.each([
    [[], 'no command given'],
    [['help', 'walk'], "unknown command 'walk'"],
    [['walk'], 'walk'],
    [['--verbose'], '--verbose'],
    [['run', '--verbose'], '--verbose'],
    [['run', 'now'], 'too many arguments'],
    [['run', '--log-level', 'loud'], '--log-level: seen "loud", expected one of'],
    [['run', '--max-concurrent-reconciles', '0'], 'expected a whole number'],
    [['check'], 'nothing to check'],
    [['check', '--app-secret', 'x'], '--app-secret'],
    [['check', '--gateway', 'apim.example.com'], '--gateway: expected http(s)://host'],
    [['check', ...http], '--gateway: http:// requires --allow-insecure-http'],
    [['check', ...http, '--resource', 'a/b'], 'cannot be used with'],
    [['check', ...http, '--namespace', 'a'], 'cannot be used with'],
    [['check', '--resource', 'a/b', '--namespace', 'c'], '--namespace c contradicts a/b'],
    [['check', ...http, '--allow-insecure-http'], 'ENOS_APP_KEY is not set'],
    [['check', ...http, '--timeout', 'soon'], '--timeout: seen "soon", expected a duration'],
    [['check', ...http, '--output', 'yaml'], 'Allowed choices are text, json'],
    [['check', '--resource', 'a/b/c'], 'expected NAME, NAMESPACE/NAME or enosappcredential/NAME'],
    [['check', '--resource', 'a/b', '--allow-insecure-http'], 'cannot be used with'],
    [['check', '--gateway', 'https://u:s3cr3t-typed@h'], 'without userinfo'],
    [['check', '--app-secret=s3cr3t-typed'], "unknown option '--app-secret'"],
    [['check', 'a', 's3cr3t-typed'], 'too many arguments'],
    [['check', 'a', '--resource', 'b'], 'give the EnosAppCredential once'],
    [['check', 'a', '--timeout', '61s'], '--timeout: seen "61s", expected a duration like 10s or 5m, at most 1m'],
    [['check', '--gateway', 'https://h', '--app-secret-file', 's3cr3t-typed'], 'ENOS_APP_KEY is not set'],
    [['check', '--gateway', 'https://h', '--app-key-file', 'k3y-typed'], '--app-key-file: cannot read the file'],
    [['check', '--gateway', 'https://h', '--ca-file', main], 'holds no certificates in PEM'],
    [['check', '--gateway', 'https://h', '--app-key-file', '-', '--app-secret-file', '-'], 'cannot both'],
    [['check', '--gateway', 'https://h', '--app-key-file', '-'], '--app-key-file is empty'],
    [['renew', 'a/b', '--namespace', 'c'], '--namespace c contradicts a/b'],
    [['renew', 'a', '--wait=yes'], '--wait'],
    [['status', '--namespace', '../x'], '--namespace: seen'],
    [['run', '--namespace', 'A'], '--namespace: seen "A"'],
    [['run', '--metrics-bind-address', '8080'], '--metrics-bind-address: seen "8080"'],
    [['run', '--leader-elect=maybe'], 'expected true or false'],
    [['renew'], 'missing required argument'],
    [['renew', 'A'], 'expected NAME, NAMESPACE/NAME or enosappcredential/NAME'],
    [['renew', 'a', 'b'], 'too many arguments'],
    [['renew', 'a', '--timeout', '0s'], '--timeout: seen "0s"'],
    [['renew', 'a', '--timeout', '10s'], '--timeout has no effect without --wait'],
    [['renew', 'a', '--wait', '--timeout', '25h'], 'at most 24h'],
    [['status', 'a', 'b'], 'too many arguments'],
    [['status', 'A'], 'expected NAME, NAMESPACE/NAME or enosappcredential/NAME'],
    [['status', 'a/b', '-n', 'c'], '--namespace c contradicts a/b'],
    [['status', '--output', 'wide'], 'Allowed choices are text, json'],
  ])('usage error in one line: %j', async (args, message) => {
    // No kubeconfig: usage errors are reported before any call.
    const { code, stderr, stdout } = await command(args, { env: { KUBECONFIG: '/nowhere' } })
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain(message)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  })

  it.each([
    ['status', 0],
    ['nothing', 2],
  ])('%s ends with its exit code if the reader of its output is gone', async (name, exitCode) => {
    const child = spawn(process.execPath, [main, name], {
      env: { PATH: process.env['PATH'], KUBECONFIG: inject('adminKubeconfig') },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const exited = once(child, 'exit')
    child.stdout.destroy()
    child.stderr.destroy()
    expect(await exited).toEqual([exitCode, null])
  })

  it('run names the flag of a port that is in use', async () => {
    const { port } = new URL(gateway.url)
    const address = ['--metrics-bind-address', `127.0.0.1:${port}`, '--health-probe-bind-address', '0']
    const { code, stderr } = await command(['run', '--no-leader-elect', ...address])
    expect(code).toBe(1)
    expect(stderr).toContain(
      `--metrics-bind-address: cannot listen on 127.0.0.1:${port}: the port is in use (EADDRINUSE)`,
    )
  })

  it.each([
    [['status', '--kubeconfig', '/nowhere'], '/nowhere'],
    [['renew', 'default/nobody'], 'EnosAppCredential default/nobody not found'],
    [['status', 'nobody', '-n', 'default'], 'EnosAppCredential default/nobody not found'],
  ])('failure in one line: %j', async (args, message) => {
    const { code, stderr } = await command(args)
    expect(code).toBe(1)
    expect(stderr).toContain(message)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  })
})
