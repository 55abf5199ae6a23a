import { expect, it, onTestFinished, vi } from 'vitest'
import { connect } from '../../src/kubernetes/connect.ts'
import { credentials, type ResourceType, secrets } from '../../src/kubernetes/types.ts'
import { SystemClock } from '../../src/lib/clock.ts'
import { delay, useHarness } from './harness.ts'

const harness = useHarness()

it('connections that close during calls and watches, a hundred times, cause no uncaught error', async () => {
  const uncaught = vi.fn()
  process.on('uncaughtException', uncaught)
  onTestFinished(() => void process.off('uncaughtException', uncaught))
  for (let times = 0; times < 100; times++) {
    const connection = connect({
      kubeconfig: { environment: { KUBECONFIG: harness().access.operatorKubeconfig } },
      clock: new SystemClock(),
      userAgent: 'integration-test',
      fieldManager: 'integration-test',
    })
    const { client } = connection
    const aborter = new AbortController()
    const { signal } = aborter
    const watch = async (type: ResourceType): Promise<void> => {
      const events = client.watch(type, undefined, { resourceVersion: '0', timeoutSeconds: 300, signal })
      for await (const { type: event } of events) expect(event).not.toBe('ERROR')
    }
    const list = async (): Promise<void> => {
      while (!signal.aborted) await client.list(secrets, 'default', { signal })
    }
    const ended = Promise.allSettled([watch(credentials), watch(secrets), watch(secrets), list(), list()])
    const answered = client.list(secrets, 'default')
    await delay(times % 60)
    aborter.abort()
    await Promise.all([ended, answered])
    await connection.close()
  }
  expect(uncaught).not.toHaveBeenCalled()
})
