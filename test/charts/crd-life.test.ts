import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { eventually, useHarness } from '../integration/harness.ts'
import { runToEnd } from '../support/run.ts'
import { chart } from './manifests.ts'
import { helms } from './programs.ts'

const harness = useHarness()
const crd = 'enosappcredentials.enos.io'
const release = 'enos-credential-operator'
let directory: string
/** The chart with an older CRD: without spec.verifyEvery. */
let olderChart: string

beforeAll(async () => {
  await deleteCrd()
  directory = await mkdtemp(join(tmpdir(), 'charts-'))
  olderChart = join(directory, 'older')
  await cp(chart, olderChart, { recursive: true })
  const file = join(olderChart, 'files/crd.yaml')
  const older = parse(await readFile(file, 'utf8')) as Crd
  delete specOf(older)['verifyEvery']
  await writeFile(file, stringify(older))
  for (const helm of helms) {
    const programs = await mkdtemp(join(directory, helm))
    await symlink(join(inject('chartPrograms'), helm), join(programs, 'helm'))
    await symlink(join(inject('assets'), 'kubectl'), join(programs, 'kubectl'))
    programsOf.set(helm, programs)
  }
})

afterEach(deleteCrd)

afterAll(async () => {
  // The harness scans all resources for secrets.
  await kubectl('apply', '-f', join(chart, 'files/crd.yaml'))
  await harness().waitUntilServed()
  await rm(directory, { recursive: true })
})

interface ObjectSchema {
  readonly properties: Record<string, ObjectSchema>
}

interface Crd {
  readonly spec: {
    readonly versions: [{ readonly schema: { readonly openAPIV3Schema: ObjectSchema } }]
  }
}

function specOf({ spec: { versions } }: Crd): Record<string, ObjectSchema> {
  return versions[0].schema.openAPIV3Schema.properties['spec']?.properties ?? {}
}

const programsOf = new Map<(typeof helms)[number], string>()

async function kubectl(...args: string[]): Promise<string> {
  return await harness().kubectl(args)
}

async function deleteCrd(): Promise<void> {
  await harness().waitUntilServed()
  await kubectl('delete', 'crd', crd, '--ignore-not-found')
}

/** Runs a command line with that helm, as a user does. @returns its output */
async function shell(helm: (typeof helms)[number], command: string): Promise<string> {
  const env = {
    ...process.env,
    PATH: `${programsOf.get(helm) ?? ''}:${process.env['PATH'] ?? ''}`,
    KUBECONFIG: inject('adminKubeconfig'),
    HELM_CACHE_HOME: join(directory, 'cache'),
    HELM_CONFIG_HOME: join(directory, 'config'),
    HELM_DATA_HOME: join(directory, 'data'),
  }
  const { code, stderr, stdout } = await runToEnd('bash', ['-c', command], { env })
  if (code !== 0) throw new Error(`${command}: exit code ${code}: ${stderr}`)
  return stdout
}

async function install(helm: (typeof helms)[number], folder: string, ...more: string[]): Promise<string> {
  const args = ['--namespace enos-system --create-namespace', ...more]
  const notes = await shell(helm, `helm upgrade --install ${release} ${folder} ${args.join(' ')}`)
  await harness().waitUntilServed()
  return notes
}

async function uninstall(helm: (typeof helms)[number]): Promise<void> {
  await shell(helm, `helm -n enos-system uninstall ${release}`)
}

async function applyCredential(namespace: string, name: string, metadata: object = {}): Promise<void> {
  const credential = {
    apiVersion: 'enos.io/v1alpha1',
    kind: 'EnosAppCredential',
    metadata: { name, namespace, ...metadata },
    spec: {
      gateway: { url: 'https://apim.example.com' },
      appKeyRef: { name: 'app' },
      appSecretRef: { name: 'app' },
      targets: [{ name: 'token' }],
      verifyEvery: '10m',
    },
  }
  await harness().kubectl(['apply', '--validate=warn', '-f', '-'], JSON.stringify(credential))
}

async function verifyEvery(namespace: string, name: string): Promise<unknown> {
  return (await harness().getCredential(namespace, name)).spec['verifyEvery']
}

/** The commands of NOTES.txt from the line that names the order on. */
function uninstallCommands(notes: string): string[] {
  const [, after = ''] = notes.split('Uninstall in this order.')
  return [...after.matchAll(/^ {2}((?:kubectl|helm) .*)$/gm)].map(([, command = '']) => command)
}

describe.each(helms)('the CRD of a release of %s', (helm) => {
  it('is upgraded with the release, and stores a field more', async () => {
    const namespace = await harness().namespace()
    await install(helm, olderChart)
    await eventually(() => applyCredential(namespace, 'upgraded'))
    expect(await verifyEvery(namespace, 'upgraded')).toBeUndefined()

    await install(helm, chart)
    await eventually(async () => {
      await applyCredential(namespace, 'upgraded')
      expect(await verifyEvery(namespace, 'upgraded')).toBe('10m')
    })
    await uninstall(helm)
  })

  it('stays when the release is uninstalled, with all resources, and a new install takes it over', async () => {
    const namespace = await harness().namespace()
    await install(helm, chart)
    await eventually(() => applyCredential(namespace, 'kept'))
    const { metadata } = await harness().getCredential(namespace, 'kept')
    await uninstall(helm)
    expect(await kubectl('get', 'deployments,roles', '-n', 'enos-system', '-o', 'name')).toBe('')

    await install(helm, chart)
    expect((await harness().getCredential(namespace, 'kept')).metadata.uid).toBe(metadata.uid)
    await uninstall(helm)
  })

  it('goes with the release where it is not kept', async () => {
    await install(helm, chart, '--set crds.keep=false')
    await uninstall(helm)
    await eventually(async () => expect(await kubectl('get', 'crd', crd, '--ignore-not-found')).toBe(''))
  })

  it('keeps a resource with a finalizer that is deleted after the operator', async () => {
    const namespace = await harness().namespace()
    await install(helm, chart)
    await eventually(() => applyCredential(namespace, 'stuck', { finalizers: ['enos.io/merge-cleanup'] }))
    await uninstall(helm)
    await kubectl('-n', namespace, 'delete', 'enosappcredential', 'stuck', '--wait=false')
    expect((await harness().getCredential(namespace, 'stuck')).metadata).toHaveProperty('deletionTimestamp')
    await harness().patchCredential(namespace, 'stuck', { metadata: { finalizers: [] } })
    await eventually(async () => expect(await kubectl('-n', namespace, 'get', 'eac', '-o', 'name')).toBe(''))
  })

  it('leaves nothing behind in the order that the notes say', async () => {
    const namespace = await harness().namespace()
    const notes = await install(helm, chart)
    const commands = uninstallCommands(notes)
    expect(commands).toEqual([
      'kubectl delete enosappcredentials --all --all-namespaces',
      `helm -n enos-system uninstall ${release}`,
      `kubectl delete crd ${crd}`,
    ])

    const operator = await harness().operator()
    await harness().createSecret(namespace, 'foreign', { own: 'value' })
    const merge = { targets: [{ name: 'foreign', creationPolicy: 'Merge', data: { token: '{{ accessToken }}' } }] }
    const gateway = await harness().gateway()
    const keys = harness().keys()
    gateway.service.addApplication(keys)
    await harness().createCredential(namespace, 'merging', gateway, keys, merge)
    await harness().expectReady(namespace, 'merging', 30_000)
    expect((await harness().getCredential(namespace, 'merging')).metadata.finalizers).toEqual(['enos.io/merge-cleanup'])

    for (const command of commands) await shell(helm, command)
    await operator.end()
    expect(await harness().data(namespace, 'foreign')).toEqual({ own: 'value' })
    expect(await kubectl('get', 'crd', crd, '--ignore-not-found')).toBe('')
    const left = await kubectl('get', 'clusterroles,clusterrolebindings', '-A', '-o', 'name')
    expect(left).not.toContain('enos')
  })
})
