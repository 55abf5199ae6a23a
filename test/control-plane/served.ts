import { eventually } from '../support/eventually.ts'
import type { Kubectl } from './control-plane.ts'

const withinMs = 60_000

/**
 * Waits until the API server serves the kinds of all CRDs. A new CRD has null conditions, at which `kubectl wait` ends with
 * an error; then its kind is unknown (404); then its storage is initialised (429). While that lasts, the API server takes
 * minutes to delete the CRD: https://github.com/operator-framework/operator-controller/issues/1437.
 */
export async function waitUntilServed(kubectl: Kubectl): Promise<void> {
  await eventually(() => expectServed(kubectl), withinMs)
}

async function expectServed(kubectl: Kubectl): Promise<void> {
  const crds = (await kubectl(['get', 'crd', '-o', 'name'])).split('\n').filter((line) => line !== '')
  if (crds.length === 0) return
  await kubectl(['wait', '--for=condition=Established', ...crds, '--timeout=30s'])
  for (const crd of crds) {
    const kind = crd.slice(crd.indexOf('/') + 1)
    // In one piece: the API server answers a list in pieces before the storage is ready.
    await kubectl(['get', kind, '--all-namespaces', '--chunk-size=0', '-o', 'name'])
  }
}
