import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { kubernetesRange } from '../../../tools/kubernetes-range.ts'

const root = join(import.meta.dirname, '../../..')
const { newest, oldest } = kubernetesRange()
const minor = (version: string): number => Number(version.split('.')[1])

/** Pages that users and developers read; records of decisions tell of their time. */
const pages = ['.', 'docs', 'docs/reference'].flatMap((directory) =>
  readdirSync(join(root, directory))
    .filter((name) => name.endsWith('.md') && name !== 'CHANGELOG.md')
    .map((name) => join(directory, name)),
)

describe('the range of Kubernetes versions', () => {
  it('is the kubeVersion of the chart', () => {
    const text = readFileSync(join(root, 'deploy/helm/enos-credential-operator/Chart.yaml'), 'utf8')
    expect((parse(text) as { kubeVersion: string }).kubeVersion).toBe(`>=${oldest}.0-0`)
  })

  it.each(['README.md', 'CONTRIBUTING.md', 'docs/support.md'])('is stated in %s', (page) => {
    expect(readFileSync(join(root, page), 'utf8')).toContain(`Kubernetes ${oldest} to ${newest}`)
  })

  it.each(pages)('is the one that %s names, where it names one', (page) => {
    const text = readFileSync(join(root, page), 'utf8')
    for (const [range] of text.matchAll(/Kubernetes 1\.\d+ to 1\.\d+/g)) {
      expect(range).toBe(`Kubernetes ${oldest} to ${newest}`)
    }
    for (const [, version = ''] of text.matchAll(/Kubernetes (1\.\d+)/g)) {
      expect(minor(version), `Kubernetes ${version}`).toBeGreaterThanOrEqual(minor(oldest))
      expect(minor(version), `Kubernetes ${version}`).toBeLessThanOrEqual(minor(newest))
    }
  })
})
