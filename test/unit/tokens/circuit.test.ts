import { describe, expect, it } from 'vitest'
import { Circuit } from '../../../src/tokens/circuit.ts'
import { failure } from '../enos/support.ts'

const unreachable = failure({ reason: 'GatewayUnreachable', message: 'cannot reach it' })

/** A circuit after failures of these applications, of a hundred. */
function failed(...applications: number[]): Circuit<number> {
  const circuit = new Circuit<number>()
  for (const application of applications) circuit.reportFailure(application, unreachable, 100)
  return circuit
}

const nine = [1, 2, 3, 4, 5, 6, 7, 8, 9]

describe('Circuit', () => {
  it('is closed at first', () => {
    expect(new Circuit().isOpen).toBe(false)
  })

  it('opens with the tenth application in a row that fails, and says so once', () => {
    const circuit = failed(...nine)
    expect(circuit.isOpen).toBe(false)
    expect(circuit.reportFailure(10, unreachable, 100)).toBe(true)
    expect(circuit.isOpen).toBe(true)
    expect(circuit.reportFailure(11, unreachable, 100)).toBe(false)
    expect(circuit.failure).toBe(unreachable)
  })

  it('is not opened by a few applications, however often they fail', () => {
    expect(failed(...Array.from({ length: 100 }, (_, i) => i % 9)).isOpen).toBe(false)
  })

  it('opens for all of a gateway that has fewer than ten, after ten failures', () => {
    const circuit = new Circuit<number>()
    for (let i = 0; i < 9; i++) circuit.reportFailure(i % 2, unreachable, 2)
    expect(circuit.isOpen).toBe(false)
    expect(circuit.reportFailure(1, unreachable, 2)).toBe(true)
  })

  it('counts only what is in a row', () => {
    const circuit = failed(...nine)
    expect(circuit.reportAnswer()).toBe(false)
    for (const application of nine) circuit.reportFailure(application, unreachable, 100)
    expect(circuit.isOpen).toBe(false)
  })

  it('closes with the first answer', () => {
    const circuit = failed(...nine, 10, 11, 12)
    expect([...circuit.failed]).toEqual([...nine, 10, 11, 12])
    expect(circuit.reportAnswer()).toBe(true)
    expect(circuit.isOpen).toBe(false)
    expect(circuit.failure).toBeUndefined()
    expect(circuit.failed.size).toBe(0)
  })

  it('forgets an application that is gone', () => {
    const circuit = failed(...nine)
    circuit.forget(1)
    expect(circuit.reportFailure(10, unreachable, 100)).toBe(false)
  })
})
