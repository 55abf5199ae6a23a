/**
 * Loaded into an operator before its program (`node --import`), for faults of the process that nobody can bring about
 * from outside. SIGUSR2 strikes, once each time, with the fault that FAULT names:
 * - `step:MS`: the wall clock is set forward (or back) by so much
 * - `block:MS`: the event loop stands still for so long
 */
const [kind = '', ms = '0'] = (process.env['FAULT'] ?? '').split(':')
let offsetMs = 0
const wall = Date.now.bind(Date)
Date.now = () => wall() + offsetMs

process.on('SIGUSR2', () => {
  if (kind === 'step') offsetMs += Number(ms)
  else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(ms))
})
