/** Images of the tests. */
export interface Images {
  /** The operator's. */
  readonly operator: string
  /** Node.js and Python with the examples and the simulator (images.ts). */
  readonly tools: string
}

/** A cluster that runs pods. */
export interface PodCluster {
  readonly name: string
  readonly kubeconfig: string
  readonly images: Images
  /** Pods have the network of the test's machine and no other: no DNS, and a port for each. */
  readonly sharesHostNetwork: boolean
  readonly stop: () => Promise<void>
}

/** A way to have a cluster. */
export interface ClusterSource {
  readonly name: string
  /** @returns why it cannot be had here; undefined where it can */
  readonly lacks: () => Promise<string | undefined>
  readonly start: () => Promise<PodCluster>
}

/** @returns the first source that can be had, or why none can */
export async function chooseCluster(
  sources: readonly ClusterSource[],
): Promise<{ source: ClusterSource } | { reasons: string[] }> {
  const reasons: string[] = []
  for (const source of sources) {
    const reason = await source.lacks()
    if (reason === undefined) return { source }
    reasons.push(`${source.name}: ${reason}`)
  }
  return { reasons }
}

/** The output where there is no cluster. The last line counts the tests, for .ci/run. */
export function skipReport(reasons: readonly string[]): string {
  const lines = [
    'The e2e tests were SKIPPED: there is no cluster that runs pods.',
    ...reasons.map((line) => `  ${line}`),
  ]
  return ['', ...lines.map((line) => `!!! ${line}`), '', '0 passed, 0 failed, 1 skipped', ''].join('\n')
}
