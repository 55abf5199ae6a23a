/**
 * Loaded into an operator before its program (`node --import`), for faults of the process that cannot be caused from
 * outside. Each SIGUSR2 strikes once with the fault that FAULT names:
 * - `step:MS`: the wall clock is set forward by MS, back where negative
 * - `block:MS`: the event loop is blocked for MS
 */
const [kind = '', ms = '0'] = (process.env['FAULT'] ?? '').split(':')
let offsetMs = 0
const wall = Date.now.bind(Date)
Date.now = () => wall() + offsetMs

process.on('SIGUSR2', () => {
  if (kind === 'step') offsetMs += Number(ms)
  else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(ms))
})
