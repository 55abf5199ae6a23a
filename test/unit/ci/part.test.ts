import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runToEnd } from '../../support/run.ts'

const script = join(import.meta.dirname, '../../../.ci/part.sh')

/** The last line of a part that runs this program of bash. */
async function lastLine(program: string, limit = '20s'): Promise<string> {
  const { stdout } = await runToEnd(script, [limit, 'bash', '-c', program])
  return stdout.trim().split('\n').at(-1) ?? ''
}

describe('.ci/part.sh', () => {
  it('repeats the last counts of the command', async () => {
    const program = 'echo 1 passed, 1 failed; echo 12 passed, 0 failed; echo bye'
    expect(await lastLine(program)).toBe('part: 12 passed, 0 failed')
  })

  it('counts tests that failed once, whatever the exit code', async () => {
    expect(await lastLine('echo 3 passed, 2 failed; exit 1')).toBe('part: 3 passed, 2 failed')
  })

  it('counts a command without counts as a failure', async () => {
    expect(await lastLine('echo 5 passed')).toBe('part: 0 passed, 1 failed')
  })

  it('counts a command that fails although no test failed as a failure', async () => {
    expect(await lastLine('echo 3 passed, 0 failed; exit 2')).toBe('part: 3 passed, 1 failed')
  })

  it('counts skipped tests as failures', async () => {
    expect(await lastLine('echo 0 passed, 0 failed, 1 skipped')).toBe('part: 0 passed, 1 failed')
  })

  it('ends a command at its limit, although a process that left its group still writes', async () => {
    const begunAt = performance.now()
    const program = 'setsid sleep 20 & echo 4 passed, 0 failed; sleep 60'
    expect(await lastLine(program, '2s')).toBe('part: 4 passed, 1 failed')
    expect(performance.now() - begunAt).toBeLessThan(19_000)
  })
})
