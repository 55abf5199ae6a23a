import { spawnSync } from 'node:child_process'
import { describe } from 'vitest'

/** Prometheus 2.42 is the first with keep_firing_for. */
const minVersion = [2, 42]

/** @returns the path of a program that is new enough, of the variable or the PATH */
export function findProgram(name: string, variable: string): string | undefined {
  const program = process.env[variable] ?? name
  const { error, stderr, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' })
  if (error !== undefined) return undefined
  const [, major = 0, minor = 0] = (/version (\d+)\.(\d+)/.exec(`${stdout}${stderr}`) ?? []).map(Number)
  const [minMajor = 0, minMinor = 0] = name === 'prometheus-alertmanager' ? [0, 23] : minVersion
  return major > minMajor || (major === minMajor && minor >= minMinor) ? program : undefined
}

/**
 * Tests that need programs of Prometheus. Where these are missing the tests are skipped, and a line says so; in CI they
 * fail.
 */
export function describeWith(programs: readonly (string | undefined)[], name: string, tests: () => void): void {
  const isComplete = programs.every((program) => program !== undefined)
  if (!isComplete && process.env['CI'] === undefined) {
    process.stderr.write(
      `SKIPPED: ${name}: install prometheus 2.42 or later and its Alertmanager (Debian: apt-get install prometheus prometheus-alertmanager)\n`,
    )
  }
  describe.skipIf(!isComplete && process.env['CI'] === undefined)(name, tests)
}
