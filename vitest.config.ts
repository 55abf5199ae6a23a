import { defineConfig } from 'vitest/config'

/** Tests that take minutes by their nature: `make test` leaves them to `make test-extended`. */
const extended = [
  'test/faults/replies.test.ts',
  'test/monitoring/alerts.test.ts',
  ...[
    'altered',
    'argocd',
    'contested',
    'etcd-restore',
    'gitops',
    'goaway',
    'health',
    'metrics-tls',
    'rollouts',
    'two-operators',
  ].map((name) => `test/integration/${name}.test.ts`),
]

export default defineConfig({
  test: {
    // Concurrent tests of a file mostly wait.
    maxConcurrency: 8,
    reporters: [['default', { summary: false }], './tools/reliability-report.ts', './tools/test-summary.ts'],
    projects: [
      // The groups run one after the other: tests in real time need the cores for themselves.
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          sequence: { groupOrder: 0 },
          // Property tests try thousands of cases.
          testTimeout: 30_000,
          // The control plane may be built meanwhile.
          expect: { poll: { timeout: 10_000 } },
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          exclude: extended,
          globalSetup: ['test/integration/global-setup.ts'],
          // The files share one control plane on two cores.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts'],
          exclude: extended,
          globalSetup: ['test/integration/global-setup.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 2 },
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'extended',
          include: extended,
          globalSetup: ['test/integration/global-setup.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 3 },
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'monitoring',
          include: ['test/monitoring/{api-server,faults,restarts}.test.ts'],
          globalSetup: ['test/integration/global-setup.ts'],
          // They wait for most of their time: side by side they take the time of one.
          maxWorkers: 3,
          sequence: { groupOrder: 7 },
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'release',
          include: ['test/image/**/*.test.ts', 'test/release/**/*.test.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 4 },
          testTimeout: 60_000,
          // Two builds of the image, each for two architectures.
          hookTimeout: 900_000,
        },
      },
      {
        test: {
          name: 'charts',
          include: ['test/charts/**/*.test.ts'],
          globalSetup: ['test/charts/global-setup.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 5 },
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/e2e/global-setup.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 6 },
          // More than the waits of a test in all, while `.ci/run` builds programs beside it.
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
})
