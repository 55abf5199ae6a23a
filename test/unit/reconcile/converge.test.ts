import { describe, expect, it } from 'vitest'
import { converge, maxIterations } from '../../../src/reconcile/converge.ts'
import { joined, now, observed, reported, synced } from '../../support/builders.ts'

describe('converge', () => {
  it('converge throws after maxIterations when the execution changes nothing', async () => {
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

  it('converge ends with the first plan that has no actions', async () => {
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

  it('converge returns undefined when the resource no longer exists', async () => {
    const execute = () => Promise.reject(new Error('executed'))
    expect(await converge({ observe: () => undefined, now: () => now, execute })).toBeUndefined()
  })

  it('converge yields before it executes, and returns the plan with its actions', async () => {
    const execute = () => Promise.reject(new Error('executed'))
    const last = await converge({ observe: () => synced(), now: () => now, shouldYield: () => true, execute })
    expect(last?.planned.actions.map((action) => action.do)).toEqual(['patchStatus'])
  })
})
