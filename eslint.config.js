import simpleImportSort from 'eslint-plugin-simple-import-sort'
import tseslint from 'typescript-eslint'
import { pureImports } from './tools/pure-files.ts'

/** The folders of src in the order in which one may import another: each only those before it. */
const layers = [
  'lib',
  'api',
  'config',
  'kubernetes',
  'enos',
  'tokens',
  'targets',
  'observe',
  'status',
  'plan',
  'reconcile',
  'consumers',
  'telemetry',
  'commands',
]

/**
 * Booleans whose names are given from outside: fields of Kubernetes objects and of the spec, flags of the command line,
 * options of packages. `ok` tells the members of a union apart.
 */
const givenBooleans = [
  'all',
  'allowH2',
  'allowInsecureHTTP',
  'allowInsecureHttp',
  'anyApplication',
  'admin',
  'blockOwnerDeletion',
  'controller',
  'edge',
  'force',
  'immutable',
  'leaderElect',
  'metadataOnly',
  'ok',
  'optional',
  'paused',
  'printApplications',
  'refresh',
  'rejectUnauthorized',
  'skipTLSVerify',
  'suspend',
  'valid',
  'wait',
  'watch',
]
const booleanPrefix = '^(is|has|should|can|was|may|does|needs|uses|wants)[A-Z]'
const named = ['variable', 'parameter', 'classProperty', 'typeProperty', 'accessor']

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', '.cache/', 'coverage/'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      // The two that a controller dies of: a rejected promise that nobody awaits, and a promise used as a value.
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // `while (true)` with an exit inside is the plain form of a loop that decides in its middle.
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  {
    plugins: { 'simple-import-sort': simpleImportSort },
    rules: {
      // One block: side effects, Node.js, packages, then files.
      'simple-import-sort/imports': ['error', { groups: [['^\\u0000', '^node:', '^@?\\w', '^', '^\\.']] }],
      'simple-import-sort/exports': 'error',
      curly: ['error', 'multi-line', 'consistent'],
      complexity: ['error', { max: 15 }],
      'max-params': ['error', { max: 4 }],
    },
  },
  // A row of a table of cases is a parameter list.
  { files: ['test/**/*.ts'], rules: { 'max-params': ['error', { max: 6 }], complexity: ['error', { max: 26 }] } },
  {
    files: ['src', 'simulator', 'demo', 'bench', 'image', 'tools', 'monitoring'].map((folder) => `${folder}/**/*.ts`),
    rules: {
      '@typescript-eslint/naming-convention': [
        'error',
        {
          selector: named,
          types: ['boolean'],
          format: null,
          filter: { regex: `^(${givenBooleans.join('|')})$`, match: false },
          custom: { regex: booleanPrefix, match: true },
        },
        {
          selector: named,
          types: ['string', 'number', 'array'],
          format: null,
          custom: { regex: booleanPrefix, match: false },
        },
      ],
    },
  },
  {
    files: ['src/**/*.ts'],
    plugins: { local: { rules: { 'pure-imports': pureImports } } },
    rules: { 'local/pure-imports': 'error' },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      'max-lines': ['error', { max: 300 }],
      'max-lines-per-function': ['error', { max: 60 }],
    },
  },
  // Tests are flat lists of cases; a world that they share is a file of its own.
  { files: ['test/**/*.ts'], rules: { 'max-lines': ['error', { max: 610 }] } },
  {
    // Only these may know the process's clock, randomness and environment; all others are handed them.
    files: ['src/**/*.ts'],
    ignores: ['src/lib/clock.ts', 'src/lib/random.ts', 'src/config/**', 'src/launch.ts', 'src/main.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'Take a Clock through the constructor.' },
        { object: 'Math', property: 'random', message: 'Take a Random through the constructor.' },
        { object: 'process', property: 'env', message: 'Read by config/ only.' },
        { object: 'performance', property: 'now', message: 'Take a Clock through the constructor.' },
      ],
      'no-restricted-globals': [
        'error',
        { name: 'setTimeout', message: 'Take a Clock through the constructor.' },
        { name: 'setInterval', message: 'Take a Clock through the constructor.' },
      ],
    },
  },
  ...layers.slice(0, -1).map((layer, at) => ({
    files: [`src/${layer}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: `^(\\.\\./)+((${layers.slice(at + 1).join('|')})/|(app|main|operator)\\.ts)`,
              message: `${layer}/ imports only what stands before it in \`layers\` of eslint.config.js.`,
            },
          ],
        },
      ],
    },
  })),
  { files: ['*.config.js', '**/*.mjs'], ...tseslint.configs.disableTypeChecked },
)
