import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../support/run.ts'

/** The configuration of an image, as the OCI image specification has it. */
export interface ImageConfig {
  readonly architecture: string
  readonly os: string
  readonly config: {
    readonly User: string
    readonly Env: readonly string[]
    readonly Entrypoint: readonly string[]
    readonly Cmd: readonly string[]
    readonly WorkingDir: string
    readonly ExposedPorts: Readonly<Record<string, object>>
    readonly Labels: Readonly<Record<string, string>>
  }
}

interface Descriptor {
  readonly digest: string
  readonly platform?: { readonly os: string; readonly architecture: string }
}

/** An image of one platform: its configuration, and the blobs of its layers. */
export interface PlatformImage {
  readonly config: ImageConfig
  readonly layers: readonly string[]
}

/** Reads a layout as a runtime would. @returns its images by platform, like `linux/amd64` */
export async function readLayout(layout: string): Promise<ReadonlyMap<string, PlatformImage>> {
  const blob = ({ digest }: Descriptor): string => join(layout, 'blobs', digest.replace(':', '/'))
  const json = async <T>(file: string): Promise<T> => JSON.parse(await readFile(file, 'utf8')) as T
  const top = await json<{ manifests: [Descriptor] }>(join(layout, 'index.json'))
  const index = await json<{ manifests: Descriptor[] }>(blob(top.manifests[0]))
  const images = await Promise.all(
    index.manifests.map(async (descriptor) => {
      const manifest = await json<{ config: Descriptor; layers: Descriptor[] }>(blob(descriptor))
      const image = { config: await json<ImageConfig>(blob(manifest.config)), layers: manifest.layers.map(blob) }
      return [`${descriptor.platform?.os ?? ''}/${descriptor.platform?.architecture ?? ''}`, image] as const
    }),
  )
  return new Map(images)
}

/** @returns the blobs whose content is not that of their name */
export async function brokenBlobs(layout: string): Promise<string[]> {
  const directory = join(layout, 'blobs/sha256')
  const names = await readdir(directory)
  const sums = await Promise.all(
    names.map(async (name) =>
      createHash('sha256')
        .update(await readFile(join(directory, name)))
        .digest('hex'),
    ),
  )
  return names.filter((name, at) => name !== sums[at])
}

/** Unpacks the layers, one over the other. */
export async function unpack(image: PlatformImage, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  for (const layer of image.layers) await run('tar', ['-xzpf', layer, '--numeric-owner', '-C', directory])
}

/** @returns a line for each file: mode, owner, and path */
export async function listFiles(image: PlatformImage): Promise<string[]> {
  const lists = await Promise.all(image.layers.map((layer) => run('tar', ['-tvzf', layer, '--numeric-owner'])))
  return lists.join('').trimEnd().split('\n')
}
