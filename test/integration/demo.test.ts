import { afterEach, describe, expect, inject, it } from 'vitest'
import { runDemo } from '../../demo/demo.ts'
import { namespace } from '../../demo/plant.ts'
import { shortestMs } from '../../demo/scenario.ts'
import { Terminal } from '../../demo/terminal.ts'
import { SystemClock } from '../../src/lib/clock.ts'
import { useHarness } from './harness.ts'

const harness = useHarness()

afterEach(async () => {
  await harness().kubectl(['delete', 'namespace', namespace, '--ignore-not-found'])
})

interface Played {
  readonly isGood: boolean
  readonly text: string
}

async function play(durationMs: number, onOperator: (pid: number, text: () => string) => void): Promise<Played> {
  let text = ''
  const isGood = await runDemo({
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
  return { isGood, text }
}

describe('the demo', () => {
  it('passes in the shortest time: an outage and three spoilt Secrets, and no expired token', async () => {
    const { isGood, text } = await play(shortestMs, () => undefined)
    expect(text).toMatch(/^ {2}expired {7}0/m)
    expect(text).toMatch(/^ {2}outage .* all renewed/m)
    expect(text.match(/^ {2}tampering .* repaired after \d+ ms, without a call to the gateway$/gm)).toHaveLength(3)
    expect(text).toContain('Ready, GatewayUnreachable')
    expect(text).toContain('PASSED')
    expect(isGood).toBe(true)
  })

  it('fails, and says why, when the operator stands still and then ends', async () => {
    let timer: NodeJS.Timeout | undefined
    const { isGood, text } = await play(60_000, (pid, shown) => {
      // On the way to the first fault: nothing is repaired from then on.
      const steps = [
        { when: 'all resources are Ready', signal: 'SIGSTOP' },
        { when: 'wind-farm-token: HOLDS NO VALID TOKEN', signal: 'SIGKILL' },
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
    expect(text).toContain('FAILED: the operator ended with SIGKILL')
    expect(text).toMatch(/^FAILED: wind-farm-token held no valid token at \d+ samples$/m)
    expect(text).toContain('FAILED: wind-farm-token was not repaired (overwritten by hand)')
    expect(isGood).toBe(false)
  })
})
