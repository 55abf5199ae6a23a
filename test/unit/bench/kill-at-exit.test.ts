import { describe, expect, it } from 'vitest'
import { runToEnd } from '../../support/run.ts'

const helper = new URL('../../support/kill-at-exit.ts', import.meta.url).href
const script = `
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { killAtExit } from ${JSON.stringify(helper)}
const children = Array.from({ length: 12 }, () => spawn('sleep', ['60'], { stdio: 'ignore' }))
const before = process.listenerCount('exit')
for (const child of children) killAtExit(child)
children[0].kill()
await once(children[0], 'close')
console.log(JSON.stringify({ pids: children.map(({ pid }) => pid), added: process.listenerCount('exit') - before }))
process.exit(3)
`

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('killAtExit', () => {
  it('ends twelve children with their process by one listener, without a warning of Node.js', async () => {
    const { code, stderr, stdout } = await runToEnd(process.execPath, ['--input-type=module', '--eval', script])
    expect({ code, stderr }).toEqual({ code: 3, stderr: '' })
    const { added, pids } = JSON.parse(stdout) as { added: number; pids: number[] }
    expect(added).toBe(1)
    expect(pids).toHaveLength(12)
    await expect.poll(() => pids.filter(isRunning), { timeout: 10_000 }).toEqual([])
  })
})
