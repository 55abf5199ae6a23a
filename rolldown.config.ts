import { defineConfig, type RolldownOptions } from 'rolldown'

function bundle(input: string, file: string): RolldownOptions {
  return {
    input,
    platform: 'node',
    // Of client-node the kubeconfig is used; its models of the whole API would cost 13 MiB in every pod.
    treeshake: { moduleSideEffects: [{ test: /@kubernetes\/client-node/, sideEffects: false }] },
    output: { file, format: 'esm', sourcemap: true, banner: '#!/usr/bin/env node' },
  }
}

/** Two bundles: the simulator is no part of the operator. */
export default defineConfig([bundle('src/main.ts', 'dist/main.js'), bundle('simulator/main.ts', 'dist/simulator.js')])
