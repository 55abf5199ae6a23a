import { afterEach, describe, expect, inject, it } from 'vitest'
import { runDemo } from '../../demo/demo.ts'
import { namespace } from '../../demo/plant.ts'
import { minDurationMs } from '../../demo/scenario.ts'
import { Terminal } from '../../demo/terminal.ts'
import { SystemClock } from '../../src/lib/clock.ts'
import { useHarness } from './harness.ts'

const harness = useHarness()

afterEach(async () => {
  await harness().kubectl(['delete', 'namespace', namespace, '--ignore-not-found'])
})

interface Played {
  readonly hasPassed: boolean
  readonly text: string
}

async function play(durationMs: number, onOperator: (pid: number, text: () => string) => void): Promise<Played> {
  let text = ''
  const hasPassed = await runDemo({
    cluster: {
      kubeconfig: inject('adminKubeconfig'),
      operatorKubeconfig: inject('operatorKubeconfig'),
      kubectl: (args, input) => harness().kubectl(args, input),
    },
    clock: new SystemClock(),
    terminal: new Terminal({ write: (more) => (text += more) }, false),
    durationMs,
    signal: new AbortController().signal,
    onOperator: (pid) => onOperator(pid, () => text),
  })
  return { hasPassed, text }
}

describe('the demo', { timeout: 120_000 }, () => {
  it('passes in the minimum duration: an outage, three damaged Secrets, no expired token', async () => {
    const { hasPassed, text } = await play(minDurationMs, () => undefined)
    expect(text).toMatch(/^ {2}expired {7}0/m)
    expect(text).toMatch(/^ {2}outage .* all renewed/m)
    expect(text.match(/^ {2}tampering .* repaired after \d+ ms, without a call to the gateway$/gm)).toHaveLength(3)
    expect(text).toContain('Ready, GatewayUnreachable')
    expect(text).toContain('PASSED')
    expect(hasPassed).toBe(true)
  })

  it('fails and names the causes when the operator stops and is then killed', async () => {
    let timer: NodeJS.Timeout | undefined
    const { hasPassed, text } = await play(60_000, (pid, shown) => {
      // Stopped before the first fault: no damage is repaired from then on.
      const steps = [
        { when: 'all resources are Ready', signal: 'SIGSTOP' },
        { when: 'wind-farm-token: NO VALID TOKEN', signal: 'SIGKILL' },
      ] as const
      let at = 0
      timer = setInterval(() => {
        const step = steps[at]
        if (step === undefined || !shown().includes(step.when)) return
        process.kill(pid, step.signal)
        at++
      }, 100)
    }).finally(() => clearInterval(timer))
    expect(text).toContain('wind-farm-token: not repaired within 5 s')
    expect(text).toContain('FAILED: the operator exited with SIGKILL')
    expect(text).toMatch(/^FAILED: wind-farm-token held no valid token at \d+ samples$/m)
    expect(text).toContain('FAILED: wind-farm-token was not repaired (overwritten by hand)')
    expect(hasPassed).toBe(false)
  })
})
