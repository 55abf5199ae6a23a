import './node-version.ts'
import { totalmem } from 'node:os'
import { launchEnvironment, launcherVariables, missingFlags } from './runtime-flags.ts'

/**
 * The entry of the bundle. V8 takes these flags only when a process starts, so `run` replaces its own process (the pid
 * stays) by one that has them.
 */
if (process.argv[2] === 'run' && typeof process.execve === 'function') {
  const { argv, env: environment, execArgv, execPath } = process
  const memory = { limit: process.constrainedMemory(), machine: totalmem() }
  const flags = missingFlags({ execArgv, environment, memory })
  if (flags.length > 0) {
    process.execve(execPath, [execPath, ...execArgv, ...flags, ...argv.slice(1)], launchEnvironment(environment))
  }
}
for (const name of launcherVariables(process.env)) Reflect.deleteProperty(process.env, name)
await import('./main.ts')
