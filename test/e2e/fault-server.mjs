// Loaded into the operator before its program (`node --import`): causes faults of the process that cannot be caused from
// outside, each by a request to FAULT_PORT.
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'

const wall = Date.now.bind(Date)
let offsetMs = 0
Date.now = () => wall() + offsetMs

const faults = {
  // The wall clock is set forward, back where negative.
  step: ({ ms }) => {
    offsetMs += Number(ms)
  },
  // Memory beyond the limit of the container, outside of V8's heap.
  memory: () => {
    const held = []
    setInterval(() => held.push(Buffer.alloc(16 << 20, 1)), 20)
  },
  // A file that takes all of its file system.
  fill: ({ file }) => {
    for (;;) appendFileSync(file, Buffer.alloc(16 << 10, 1))
  },
}

createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost')
  let code = 'done'
  try {
    faults[pathname.slice(1)](Object.fromEntries(searchParams))
  } catch (error) {
    code = error.code ?? error.message
  }
  response.end(code)
})
  .listen(Number(process.env.FAULT_PORT), process.env.FAULT_HOST)
  .unref()
