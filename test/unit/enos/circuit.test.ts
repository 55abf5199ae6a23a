import { describe, expect, it } from 'vitest'
import { Circuit } from '../../../src/enos/circuit.ts'

function opened(failures = 10): Circuit {
  const circuit = new Circuit()
  for (let i = 0; i < failures; i++) circuit.report(false)
  return circuit
}

describe('Circuit', () => {
  it('lets everything through while less than ten attempts in a row were unanswered', () => {
    const circuit = opened(9)
    expect(circuit.isOpen).toBe(false)
    expect([circuit.admit(0), circuit.admit(0), circuit.admit(0)]).toEqual([0, 0, 0])
  })

  it('opens after ten in a row', () => {
    expect(opened(10).isOpen).toBe(true)
  })

  it('counts only what is in a row', () => {
    const circuit = opened(9)
    circuit.report(true)
    for (let i = 0; i < 9; i++) circuit.report(false)
    expect(circuit.isOpen).toBe(false)
  })

  it('lets one through at once, and tells all others how long to wait', () => {
    const circuit = opened()
    expect(circuit.admit(5000)).toBe(0)
    expect(circuit.admit(5000)).toBe(1000)
    expect(circuit.admit(5400)).toBe(600)
    expect(circuit.admit(6000)).toBe(0)
  })

  it('lets them through more and more rarely, but at least every 5 s', () => {
    const circuit = opened()
    const pauses: number[] = []
    let now = 0
    for (let i = 0; i < 8; i++) {
      expect(circuit.admit(now)).toBe(0)
      circuit.report(false)
      const wait = circuit.admit(now)
      pauses.push(wait)
      now += wait
    }
    expect(pauses).toEqual([1000, 2000, 3000, 4000, 5000, 5000, 5000, 5000])
  })

  it('closes with the first answer', () => {
    const circuit = opened(30)
    circuit.report(true)
    expect(circuit.isOpen).toBe(false)
    expect([circuit.admit(0), circuit.admit(0)]).toEqual([0, 0])
  })
})
