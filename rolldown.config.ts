import { defineConfig, type Plugin, type RolldownOptions } from 'rolldown'

/**
 * An import of node:http evaluates its getters, one of which loads Node's own copy of undici: 13 MiB in every pod, and
 * 17 ms of each start.
 */
const httpWithoutUndici: Plugin = {
  name: 'http-without-undici',
  resolveId: (id) => (id === 'node:http' || id === 'http' ? '\0node:http' : undefined),
  load: (id) => (id === '\0node:http' ? `module.exports = process.getBuiltinModule('node:http')` : undefined),
}

/** The launcher is a file of its own: V8 would parse all of the operator once more before it is launched. */
const besideTheOperator: Plugin = {
  name: 'beside-the-operator',
  resolveId: (id) => (id === './main.ts' ? { id: './operator.mjs', external: true } : undefined),
}

/** `charset` leaves comments as they are. */
const asciiComments: Plugin = {
  name: 'ascii-comments',
  generateBundle: (_, files) => {
    for (const file of Object.values(files)) {
      if (file.type === 'chunk') file.code = file.code.replace(/[^\0-\x7f]/g, escaped)
    }
  },
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function bundle(input: string, file: string, ...plugins: readonly Plugin[]): RolldownOptions {
  return {
    input,
    platform: 'node',
    plugins: [httpWithoutUndici, asciiComments, ...plugins],
    // Of client-node the kubeconfig is used; its models of the whole API would cost 13 MiB in every pod.
    treeshake: { moduleSideEffects: [{ test: /@kubernetes\/client-node/, sideEffects: false }] },
    output: {
      file,
      format: 'esm',
      sourcemap: true,
      banner: '#!/usr/bin/env node',
      // The log has names of classes, and stack traces have names of functions.
      minify: { mangle: { keepNames: true } },
      // With one character beyond ASCII, Node.js keeps the whole text in two bytes for each character.
      charset: 'ascii',
    },
  }
}

/** Launcher and operator; the simulator is no part of them. */
export default defineConfig([
  bundle('src/launch.ts', 'dist/main.js', besideTheOperator),
  bundle('src/main.ts', 'dist/operator.mjs'),
  bundle('simulator/main.ts', 'dist/simulator.js'),
])
