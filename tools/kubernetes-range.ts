import { readFileSync } from 'node:fs'

/** The versions of Kubernetes that the tests run on, like `1.30`, from the module files of test/control-plane. */
export function kubernetesRange(): { readonly oldest: string; readonly newest: string } {
  return { oldest: minorOf('oldest.mod'), newest: minorOf('newest.mod') }
}

function minorOf(name: string): string {
  const text = readFileSync(new URL(`../test/control-plane/${name}`, import.meta.url), 'utf8')
  const minor = /k8s\.io\/kubernetes v(1\.\d+)\./.exec(text)?.[1]
  if (minor === undefined) throw new Error(`${name} names no version of k8s.io/kubernetes`)
  return minor
}
