import { join } from 'node:path'
import { describe, expect, inject, it } from 'vitest'
import { runToEnd } from '../support/run.ts'
import { chart, helmTemplate, kustomize, type Manifest, parseManifests, variants } from './manifests.ts'
import { helms } from './programs.ts'

/** What helm adds to every object, and kustomize does not. */
const helmLabels = [
  'helm.sh/chart',
  'helm.sh/resource-policy',
  'app.kubernetes.io/managed-by',
  'app.kubernetes.io/instance',
]

function nameOf({ kind, metadata: { name, namespace = '' } }: Manifest): string {
  return [kind, namespace, name].join(' ')
}

/** Objects by kind, namespace and name, without helm's labels; lists stay in their order. */
function comparable(text: string): Readonly<Record<string, unknown>> {
  const manifests = parseManifests(text)
    // helm creates the namespace itself (--create-namespace).
    .filter(({ kind }) => kind !== 'Namespace')
    .map((manifest) => [nameOf(manifest), withoutHelm(manifest)] as const)
  expect(new Set(manifests.map(([name]) => name)).size, 'distinct objects').toBe(manifests.length)
  return Object.fromEntries(manifests)
}

function withoutHelm(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(withoutHelm)
  if (typeof node !== 'object' || node === null) return node
  const entries = Object.entries(node).flatMap(([key, value]) => {
    if (key !== 'labels' && key !== 'annotations') return [[key, withoutHelm(value)] as const]
    const kept = Object.entries(value as object).filter(([name]) => !helmLabels.includes(name))
    return kept.length === 0 ? [] : [[key, Object.fromEntries(kept)] as const]
  })
  const isSelector = (key: string): boolean => key === 'matchLabels' || key === 'selector'
  return Object.fromEntries(
    entries.map(([key, value]) => [key, isSelector(key) ? withoutInstance(value) : value] as const),
  )
}

/** The Deployment of kustomize keeps its selector, which is immutable; a release has its name in it. */
function withoutInstance(selector: unknown): unknown {
  if (typeof selector !== 'object' || selector === null) return selector
  const kept = Object.entries(selector).filter(([name]) => name !== 'app.kubernetes.io/instance')
  return Object.fromEntries(kept)
}

describe('the chart', () => {
  it.each(helms)('has no error and no warning in the lint of %s', async (helm) => {
    const { code, stderr, stdout } = await runToEnd(join(inject('chartPrograms'), helm), ['lint', '--strict', chart])
    expect(stdout).toContain('1 chart(s) linted, 0 chart(s) failed')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  it.each(Object.entries(variants))('is rendered alike by helm 3 and helm 4: %s', async (_, { values }) => {
    const [first = '', second = ''] = await Promise.all(helms.map((helm) => helmTemplate(helm, values)))
    expect(parseManifests(first)).toEqual(parseManifests(second))
  })

  it.each(Object.entries(variants))('renders the objects of kustomize: %s', async (_, { overlay, values }) => {
    const [rendered, built] = await Promise.all([helmTemplate('helm4', values), kustomize(overlay)])
    const objects = comparable(rendered)
    expect(Object.keys(objects).length).toBeGreaterThan(6)
    expect(objects).toEqual(comparable(built))
  })

  it.each(Object.entries(variants))(
    'renders the objects of the manifests of a release: %s',
    async (_, { overlay, values }) => {
      const [rendered, built] = await Promise.all([helmTemplate('helm4', values), kustomize(overlay, 'release')])
      expect(comparable(rendered)).toEqual(comparable(built))
    },
  )
})
