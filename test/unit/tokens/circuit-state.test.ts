import { describe, expect, it } from 'vitest'
import { CircuitState } from '../../../src/tokens/circuit-state.ts'
import { failure } from '../enos/support.ts'

const unreachable = failure({ reason: 'GatewayUnreachable', message: 'cannot reach it' })

/** A circuit of a hundred applications after failures of these. */
function failed(...applications: number[]): CircuitState<number> {
  const circuit = new CircuitState<number>()
  for (const application of applications) circuit.reportFailure(application, unreachable, 100)
  return circuit
}

const nine = [1, 2, 3, 4, 5, 6, 7, 8, 9]

describe('CircuitState', () => {
  it('is closed at first', () => {
    expect(new CircuitState().isOpen).toBe(false)
  })

  it('opens with the tenth consecutive failure, and reports that once', () => {
    const circuit = failed(...nine)
    expect(circuit.isOpen).toBe(false)
    expect(circuit.reportFailure(10, unreachable, 100)).toBe(true)
    expect(circuit.isOpen).toBe(true)
    expect(circuit.reportFailure(11, unreachable, 100)).toBe(false)
    expect(circuit.lastFailure).toBe(unreachable)
  })

  it('stays closed when a few applications fail, however often', () => {
    expect(failed(...Array.from({ length: 100 }, (_, i) => i % 9)).isOpen).toBe(false)
  })

  it('opens after ten failures for a gateway with fewer than ten applications', () => {
    const circuit = new CircuitState<number>()
    for (let i = 0; i < 9; i++) circuit.reportFailure(i % 2, unreachable, 2)
    expect(circuit.isOpen).toBe(false)
    expect(circuit.reportFailure(1, unreachable, 2)).toBe(true)
  })

  it('counts only consecutive failures', () => {
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
    expect(circuit.lastFailure).toBeUndefined()
    expect(circuit.failed.size).toBe(0)
  })

  it('does not count an application that was removed', () => {
    const circuit = failed(...nine)
    circuit.remove(1)
    expect(circuit.reportFailure(10, unreachable, 100)).toBe(false)
  })
})
