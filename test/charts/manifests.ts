import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inject } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { type InstallFolder, installManifests, renderInstall } from '../../tools/release/install-manifests.ts'
import { run } from '../support/run.ts'
import type { helms } from './programs.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

export const deploy = join(root, 'deploy')
export const chart = join(deploy, 'helm/enos-credential-operator')

export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
}

/** Values of the chart, as a user's values.yaml has them. */
export type Values = Readonly<Record<string, unknown>>

/** A user's kustomization of an install; its paths are from deploy/. */
export interface Overlay {
  readonly resources: readonly InstallFolder[]
  readonly components?: readonly string[]
  readonly patches?: readonly object[]
  /** Another namespace, and the files of Roles that are repeated in it. */
  readonly repeated?: { readonly namespace: string; readonly files: readonly string[] }
}

export interface Variant {
  readonly values: Values
  readonly overlay: Overlay
}

/** As deploy/namespaced/kustomization.yaml says it for more namespaces. */
const namespacesPatch = {
  target: { kind: 'Deployment' },
  patch: JSON.stringify([
    {
      op: 'replace',
      path: '/spec/template/spec/containers/0/env/0',
      value: { name: 'ENOS_NAMESPACE', value: 'enos-system,plant-a' },
    },
  ]),
}

/** The operator's own namespaced installs leave to an administrator what a cluster has once. */
const withoutApi: Values = {
  crds: { enabled: false },
  admissionPolicy: { enabled: false },
  rbac: { aggregateClusterRoles: false },
}

/** Installs that the chart and kustomize must render alike. */
export const variants: Readonly<Record<string, Variant>> = {
  'the default install': { values: {}, overlay: { resources: ['.'] } },
  'all namespaces, with consumers, scrape, alerts, dashboard and a NetworkPolicy': {
    values: {
      consumers: { propagation: true, restarts: true },
      networkPolicy: { enabled: true },
      serviceMonitor: { enabled: true, renderMode: 'alwaysRender' },
      prometheusRule: { enabled: true, renderMode: 'alwaysRender' },
      dashboard: { enabled: true },
    },
    overlay: {
      resources: ['.'],
      components: ['components/consumers', 'components/network-policy', 'components/monitoring'],
    },
  },
  'its own namespace, with Roles': {
    values: { ...withoutApi, namespaces: ['enos-system'] },
    overlay: { resources: ['namespaced'] },
  },
  'its own namespace and another, with Roles, consumers and merge-cleanup': {
    values: {
      ...withoutApi,
      namespaces: ['enos-system', 'plant-a'],
      consumers: { propagation: true, restarts: true },
      rbac: { aggregateClusterRoles: false, mergeCleanup: true },
    },
    overlay: {
      resources: ['namespaced'],
      components: ['components/consumers/namespaced', 'namespaced/merge-cleanup'],
      patches: [namespacesPatch],
      repeated: { namespace: 'plant-a', files: ['namespaced/role.yaml', 'components/consumers/namespaced/roles.yaml'] },
    },
  },
}

/** @returns what helm says, unparsed */
export async function helmTemplate(helm: (typeof helms)[number], values: Values): Promise<string> {
  const args = ['template', 'enos-credential-operator', chart, '--namespace', 'enos-system', '--values', '-']
  return await run(join(inject('chartPrograms'), helm), args, JSON.stringify(values))
}

/**
 * Builds an overlay in a folder of its own.
 *
 * @param base what it is an overlay of: the folders, or the files of a release that are made of them
 */
export async function kustomize(
  { components = [], patches = [], repeated, resources }: Overlay,
  base: 'folders' | 'release' = 'folders',
): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'overlay-'))
  const kubectl = join(inject('assets'), 'kubectl')
  const from = (folder: string): string => relative(directory, join(deploy, folder))
  const released = async (folder: InstallFolder): Promise<string> => {
    await writeFile(join(directory, installManifests[folder]), await renderInstall(kubectl, folder))
    return installManifests[folder]
  }
  try {
    const more = repeated === undefined ? [] : [await repeat(directory, repeated)]
    const installs = base === 'folders' ? resources.map(from) : await Promise.all(resources.map(released))
    await writeKustomization(directory, {
      resources: [...installs, ...more],
      components: components.map(from),
      patches,
    })
    return await run(kubectl, ['kustomize', directory])
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** kustomize loads no file from outside of a kustomization's folder, so a user copies them. */
async function repeat(directory: string, { files, namespace }: NonNullable<Overlay['repeated']>): Promise<string> {
  const folder = join(directory, namespace)
  await mkdir(folder)
  for (const file of files) await copyFile(join(deploy, file), join(folder, basename(file)))
  await writeKustomization(folder, { namespace, resources: files.map((file) => basename(file)) })
  return namespace
}

async function writeKustomization(directory: string, content: object): Promise<void> {
  const kustomization = { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization', ...content }
  await writeFile(join(directory, 'kustomization.yaml'), JSON.stringify(kustomization))
}

export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null)
}
