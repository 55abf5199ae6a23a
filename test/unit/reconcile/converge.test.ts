import { describe, expect, it } from 'vitest'
import { converge, maxIterations } from '../../../src/reconcile/converge.ts'
import { joined, now, observed, reported, synced } from '../../support/builders.ts'

describe('converge', () => {
  it('throws after maxIterations when execution never brings the observation closer to the spec', async () => {
    let executions = 0
    const running = converge({
      observe: () => observed(),
      now: () => now,
      execute: () => {
        executions++
        return Promise.resolve()
      },
    })
    await expect(running).rejects.toThrow(`did not converge in ${maxIterations} iterations`)
    expect(executions).toBe(maxIterations)
  })

  it('ends with the first plan that has no actions', async () => {
    const observations = [joined(), synced(), reported(synced())]
    const executed: string[] = []
    const last = await converge({
      observe: () => observations.shift(),
      now: () => now,
      execute: ({ planned }) => {
        executed.push(...planned.actions.map((action) => action.do))
        return Promise.resolve()
      },
    })
    expect(executed).toEqual(['createTarget', 'patchStatus'])
    expect(last?.planned.actions).toEqual([])
  })

  it('ends without an iteration when the resource is gone', async () => {
    const execute = () => Promise.reject(new Error('executed'))
    expect(await converge({ observe: () => undefined, now: () => now, execute })).toBeUndefined()
  })

  it('yields before it executes, and returns the plan with its actions', async () => {
    const execute = () => Promise.reject(new Error('executed'))
    const last = await converge({ observe: () => synced(), now: () => now, shouldYield: () => true, execute })
    expect(last?.planned.actions.map((action) => action.do)).toEqual(['patchStatus'])
  })
})
