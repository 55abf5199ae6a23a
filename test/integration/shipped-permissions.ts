import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'
import type { KubernetesObject } from '../../src/kubernetes/types.ts'
import type { Harness } from './harness.ts'

interface Rule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
  readonly resourceNames?: readonly string[]
}

interface RbacObject extends KubernetesObject {
  readonly rules?: readonly Rule[]
  readonly roleRef?: { readonly kind: string; readonly name: string }
  readonly subjects?: readonly { readonly kind: string; readonly name: string; readonly namespace?: string }[]
}

/** Roles of the operator's service account, and their bindings. */
export type Roles = readonly RbacObject[]

/** All namespaces (deploy/), or the operator's own (deploy/namespaced/). */
export type Scope = 'cluster' | 'namespaced'

const account = 'enos-credential-operator'
const deploy = fileURLToPath(new URL('../../deploy', import.meta.url))

/**
 * The permissions of the operator's service account in the manifests, with every component of deploy/components.
 * @param more components, by their folders in deploy/
 */
export async function shippedRoles(harness: Harness, scope: Scope, more: readonly string[] = []): Promise<Roles> {
  const objects = parseAllDocuments(await everythingShipped(harness, scope, more)).map(
    (document) => document.toJS() as RbacObject,
  )
  const bindings = objects.filter(({ subjects = [] }) =>
    subjects.some(({ kind, name }) => kind === 'ServiceAccount' && name === account),
  )
  const isBound = ({ kind = '', metadata }: RbacObject): boolean =>
    bindings.some(({ roleRef }) => roleRef?.kind === kind && roleRef.name === metadata.name)
  return [...objects.filter(isBound), ...bindings]
}

/** Renders the install with all components, as a user's overlay does. */
async function everythingShipped(harness: Harness, scope: Scope, more: readonly string[]): Promise<string> {
  const variant = scope === 'cluster' ? '.' : 'namespaced'
  const components = readdirSync(join(deploy, 'components'))
    .map((component) => join(deploy, 'components', component, variant))
    .filter((directory) => existsSync(join(directory, 'kustomization.yaml')))
    .concat(more.map((component) => join(deploy, component)))
  const directory = await mkdtemp(join(tmpdir(), 'overlay-'))
  try {
    const overlay = {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      resources: [relative(directory, join(deploy, variant))],
      components: components.map((component) => relative(directory, component)),
    }
    await writeFile(join(directory, 'kustomization.yaml'), JSON.stringify(overlay))
    return await harness.kubectl(['kustomize', directory])
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** Each permission, as `secrets get` or `apps/deployments patch`, sorted; a permission granted twice is listed twice. */
export function permissionsOf(roles: Roles): string[] {
  return roles.flatMap(({ rules = [] }) => rules.flatMap((rule) => singles(rule).map(nameOf))).sort()
}

/** The same roles without one permission. @throws when they do not have it */
export function without(roles: Roles, permission: string): Roles {
  if (!permissionsOf(roles).includes(permission)) throw new Error(`the manifests do not grant ${permission}`)
  return roles.map((role) =>
    role.rules === undefined
      ? role
      : { ...role, rules: role.rules.flatMap(singles).filter((rule) => nameOf(rule) !== permission) },
  )
}

function singles({ apiGroups, resources, verbs, ...names }: Rule): Rule[] {
  return apiGroups.flatMap((group) =>
    resources.flatMap((resource) =>
      verbs.map((verb) => ({ apiGroups: [group], resources: [resource], verbs: [verb], ...names })),
    ),
  )
}

function nameOf({ apiGroups: [group], resourceNames, resources: [resource], verbs: [verb] }: Rule): string {
  const names = resourceNames === undefined ? '' : ` of ${resourceNames.join(' and ')}`
  return `${group === '' || group === undefined ? '' : `${group}/`}${resource} ${verb}${names}`
}

/** Creates a service account with these roles only. @returns its kubeconfig */
export async function identityWith(harness: Harness, namespace: string, roles: Roles): Promise<string> {
  await grant(harness, namespace, roles)
  return await harness.serviceAccount(namespace, account)
}

/** Grants these roles to the service account of a namespace. */
export async function grant(harness: Harness, namespace: string, roles: Roles): Promise<void> {
  // Tests that run at the same time would overwrite each other's ClusterRole.
  const nameIn = (kind: string, name: string): string => (kind.startsWith('Cluster') ? `${name}-${namespace}` : name)
  const items = roles.map(({ kind = '', metadata, roleRef, subjects, ...rest }) => ({
    ...rest,
    kind,
    metadata: {
      name: nameIn(kind, metadata.name ?? ''),
      labels: { test: 'permissions' },
      ...(kind.startsWith('Cluster') ? {} : { namespace }),
    },
    ...(roleRef === undefined ? {} : { roleRef: { ...roleRef, name: nameIn(roleRef.kind, roleRef.name) } }),
    ...(subjects === undefined ? {} : { subjects: subjects.map((subject) => ({ ...subject, namespace })) }),
  }))
  await harness.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
}

/** Removes the cluster-scoped grants. */
export async function removeClusterRoles(harness: Harness): Promise<void> {
  await harness.kubectl(['delete', 'clusterrolebinding,clusterrole', '-l', 'test=permissions', '--ignore-not-found'])
}
