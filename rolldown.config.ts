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

function bundle(input: string, file: string, ...plugins: readonly Plugin[]): RolldownOptions {
  return {
    input,
    platform: 'node',
    plugins: [httpWithoutUndici, ...plugins],
    // Of client-node the kubeconfig is used; its models of the whole API would cost 13 MiB in every pod.
    treeshake: { moduleSideEffects: [{ test: /@kubernetes\/client-node/, sideEffects: false }] },
    output: {
      file,
      format: 'esm',
      sourcemap: true,
      banner: '#!/usr/bin/env node',
      // The log has names of classes, and stack traces have names of functions.
      minify: { mangle: { keepNames: true } },
      // With one character beyond Latin-1, V8 keeps the whole text in two bytes for each character.
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
