import { posix } from 'node:path'
import type { Rule } from 'eslint'

/**
 * Folders of src, and single files, that are pure: their results depend on their arguments alone. They hold no state,
 * wait for nothing, and call no client, writer, queue or store.
 */
const pureParts: readonly string[] = [
  'src/api/',
  'src/config/',
  'src/enos/',
  'src/lib/',
  'src/observe/',
  'src/plan/',
  'src/status/',
  'src/targets/',
  'src/consumers/pod-plan.ts',
  'src/consumers/pods.ts',
  'src/consumers/propagation-job.ts',
  'src/consumers/results.ts',
  'src/consumers/rollout-results.ts',
  'src/consumers/workload-plan.ts',
  'src/consumers/workloads.ts',
  'src/kubernetes/admission-denial.ts',
  'src/kubernetes/errors.ts',
  'src/kubernetes/types.ts',
  'src/tokens/caller.ts',
  'src/tokens/renewal-rule.ts',
  'src/tokens/schedule.ts',
]

/** Files in these folders that are not. */
export const impureFiles: readonly string[] = [
  'src/enos/gateway-dispatchers.ts',
  'src/enos/http-exchange.ts',
  'src/enos/timestamps.ts',
  'src/enos/token-client.ts',
  'src/lib/clock-jump.ts',
  'src/lib/clock.ts',
  'src/lib/connector.ts',
  'src/lib/heap.ts',
  'src/lib/keyed-heap.ts',
  'src/lib/proxy-agent.ts',
  'src/lib/random.ts',
  'src/lib/trusted-cas.ts',
  'src/observe/caches.ts',
  'src/observe/observe.ts',
  'src/observe/watches.ts',
  'src/targets/target-writer.ts',
]

/** Packages whose values pure files use. */
const purePackages: readonly string[] = ['leven', 'liquidjs', 'node:crypto', 'node:util', 'zod']

/** Values of other packages that are pure. */
const pureValues: Readonly<Record<string, readonly string[]>> = {
  'node:net': ['BlockList', 'isIP', 'isIPv4', 'isIPv6'],
}

/** @param file from the root of the repository, with slashes */
export function isPure(file: string): boolean {
  return pureParts.some((part) => file.startsWith(part)) && !impureFiles.includes(file)
}

/** Single files of the list, for the test that they exist. */
export const pureFiles = pureParts.filter((part) => part.endsWith('.ts'))

/** A pure file imports the values of pure files only. Types of others are welcome: they do nothing. */
export const pureImports: Rule.RuleModule = {
  meta: {
    type: 'problem',
    messages: {
      impure: '{{file}} is pure (tools/pure-files.ts) and {{source}} is not: import its types only.',
    },
  },
  create: (context) => {
    const file = posix.relative(context.cwd, context.filename)
    if (!isPure(file)) return {}
    return {
      ImportDeclaration: (node) => {
        if (isTypeOnly(node as unknown as TypedImport)) return
        const source = String(node.source.value)
        const isRelative = source.startsWith('.')
        const isPurePackage =
          purePackages.includes(source) || hasOnly(node as unknown as TypedImport, pureValues[source])
        const isAllowed = isRelative ? isPure(posix.join(posix.dirname(file), source)) : isPurePackage
        if (!isAllowed) context.report({ node, messageId: 'impure', data: { file, source } })
      },
    }
  },
}

/** What the parser of TypeScript adds to an import. */
interface TypedImport {
  readonly importKind?: string
  readonly specifiers: readonly { readonly importKind?: string; readonly imported?: { readonly name?: string } }[]
}

function hasOnly({ specifiers }: TypedImport, names: readonly string[] = []): boolean {
  return specifiers.length > 0 && specifiers.every(({ imported }) => names.includes(imported?.name ?? ''))
}

function isTypeOnly({ importKind, specifiers }: TypedImport): boolean {
  return (
    importKind === 'type' || (specifiers.length > 0 && specifiers.every((specifier) => specifier.importKind === 'type'))
  )
}
