import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findAssets, nodePrograms } from '../control-plane/assets.ts'
import { run, runToEnd } from '../support/run.ts'
import type { ClusterSource, Images } from './cluster.ts'
import { python, toolsImage, writeToolsImage } from './images.ts'

export interface SourceOptions {
  readonly environment: NodeJS.ProcessEnv
  /** Progress, a line at a time. */
  readonly log: (line: string) => void
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const node = join(root, 'test/node')
const nodeState = '/var/tmp/enos-node'

/** The clusters on which the tests can run, the preferred one first. */
export function clusterSources(options: SourceOptions): ClusterSource[] {
  return [givenCluster(options), kindCluster(options), testNode(options)]
}

/** A cluster of the user's. The tests install and uninstall the operator there, so naming the images is consent too. */
function givenCluster({ environment }: SourceOptions): ClusterSource {
  const { E2E_OPERATOR_IMAGE: operator, E2E_TOOLS_IMAGE: tools, KUBECONFIG: kubeconfig } = environment
  const variables = { KUBECONFIG: kubeconfig, E2E_OPERATOR_IMAGE: operator, E2E_TOOLS_IMAGE: tools }
  return {
    name: 'the cluster of KUBECONFIG',
    lacks: () => {
      const unset = Object.entries(variables).filter(([, value]) => value === undefined || value === '')
      const names = unset.map(([name]) => name).join(', ')
      return Promise.resolve(names === '' ? undefined : `set ${names} (images that its nodes can pull)`)
    },
    start: () =>
      Promise.resolve({
        name: 'the cluster of KUBECONFIG',
        kubeconfig: kubeconfig ?? '',
        images: { operator: operator ?? '', tools: tools ?? '' },
        sharesHostNetwork: false,
        stop: () => Promise.resolve(),
      }),
  }
}

function kindCluster({ log }: SourceOptions): ClusterSource {
  const name = 'enos-e2e'
  const images: Images = { operator: 'enos-credential-operator:e2e', tools: toolsImage }
  const kind = (...args: string[]): Promise<string> =>
    run('go', ['-C', join(root, 'test/e2e/kind'), 'tool', 'kind', ...args])
  return {
    name: 'kind',
    lacks: async () => ((await isRunnable('docker', ['info'])) ? undefined : '`docker info` fails'),
    start: async () => {
      const directory = await mkdtemp(join(tmpdir(), 'kind-'))
      const kubeconfig = join(directory, 'kubeconfig')
      const stop = async (): Promise<void> => {
        await kind('delete', 'cluster', '--name', name)
        await rm(directory, { recursive: true, force: true })
      }
      await kind('delete', 'cluster', '--name', name)
      log('kind: building images and starting a cluster')
      await run('docker', ['build', '-t', images.operator, root])
      await run('docker', ['build', '-f', join(root, 'test/e2e/Dockerfile'), '-t', images.tools, root])
      try {
        const config = join(root, 'test/e2e/kind/cluster.yaml')
        await kind('create', 'cluster', '--config', config, '--kubeconfig', kubeconfig, '--wait', '3m')
        for (const image of [images.operator, images.tools]) await kind('load', 'docker-image', image, '--name', name)
      } catch (error) {
        await stop()
        throw error
      }
      return { name: 'kind', kubeconfig, images, sharesHostNetwork: false, stop }
    },
  }
}

/** A real node on this machine (test/node). */
function testNode({ environment, log }: SourceOptions): ClusterSource {
  const script = (name: string, args: readonly string[] = []): ReturnType<typeof runToEnd> =>
    runToEnd(join(node, name), args, {
      env: { ...environment, NODE_STATE: nodeState, NODE_OWNER: String(process.pid) },
    })
  return {
    name: 'test/node',
    lacks: async () => {
      const { code, stderr } = await script('up.sh', ['--check'])
      if (code !== 0) return stderr.trim()
      return (await isRunnable(python, ['--version'])) ? undefined : `${python} is missing: apt-get install python3`
    },
    start: async () => {
      const programs = await findAssets({ environment, log, needed: nodePrograms })
      const operator = await makeOperatorImage()
      const directory = await mkdtemp(join(tmpdir(), 'tools-image-'))
      try {
        const tools = join(directory, 'tools.tar')
        await writeToolsImage(tools)
        const { code, stderr, stdout } = await script('up.sh', [programs, operator.archive, tools])
        if (code !== 0) throw new Error(`test/node/up.sh: exit code ${code}: ${stderr}`)
        log(stdout.trim())
      } finally {
        await rm(directory, { recursive: true })
      }
      return {
        name: 'test/node',
        kubeconfig: join(nodeState, 'admin.kubeconfig'),
        images: { operator: operator.name, tools: toolsImage },
        sharesHostNetwork: true,
        stop: async () => {
          await script('down.sh')
        },
      }
    },
  }
}

/** By `make image`, which needs no Docker. */
async function makeOperatorImage(): Promise<{ name: string; archive: string }> {
  await run('make', ['-C', root, 'image'])
  const { registry } = JSON.parse(await readFile(join(root, 'published.json'), 'utf8')) as { registry: string }
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
  return { name: `${registry}/enos-credential-operator:${version}`, archive: join(root, 'dist/image/image.tar') }
}

async function isRunnable(program: string, args: readonly string[]): Promise<boolean> {
  return await runToEnd(program, args).then(
    ({ code }) => code === 0,
    () => false,
  )
}
