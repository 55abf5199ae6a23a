import published from '../published.json' with { type: 'json' }

/**
 * Where releases are published. Until a person sets published.json these are placeholders below example.com; then
 * `make generate`, and the test test/unit/published.test.ts names the files that still have the old values.
 */
export const { home, registry } = published

/** Without tag. */
export const imageName = `${registry}/enos-credential-operator`

/** Without version. */
export const chartName = `oci://${registry}/charts/enos-credential-operator`
