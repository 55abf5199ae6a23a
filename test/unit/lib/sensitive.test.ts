import { Console } from 'node:console'
import { Writable } from 'node:stream'
import { format, inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { Sensitive } from '../../../src/lib/sensitive.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'

const value = 'tok-4f1d9c'
const secret = new Sensitive(value)

describe('Sensitive', () => {
  it('returns its value by reveal', () => {
    expect(secret.reveal()).toBe(value)
  })

  it('equals another of the same value only', () => {
    expect(secret.equals(new Sensitive(value))).toBe(true)
    expect(secret.equals(new Sensitive('other'))).toBe(false)
  })

  const printed: readonly [string, () => string][] = [
    ['a template string', () => `token ${secret as unknown as string}`],
    ['a concatenation', () => 'token ' + (secret as unknown as string)],
    ['String', () => String(secret)],
    ['join', () => [secret, secret].join()],
    ['JSON, nested', () => JSON.stringify({ deep: [{ secret }] })],
    ['util.inspect', () => inspect(secret)],
    ['util.inspect with everything shown', () => inspect({ deep: { secret } }, { showHidden: true, depth: null })],
    ['util.inspect without custom inspection', () => inspect(secret, { customInspect: false, showHidden: true })],
    ['util.format', () => format('%s %o %O %j', secret, secret, secret, secret)],
    ['an error message', () => new Error(String(secret)).stack ?? ''],
    ['console.log', () => captured((stream) => new Console(stream).log(secret, { secret }))],
    ['a log in JSON', () => captured((destination) => log('json', destination))],
    ['a pretty log', () => captured((destination) => log('pretty', destination))],
    ['its own properties', () => JSON.stringify([Object.entries(secret), Reflect.ownKeys(secret).map(String)])],
  ]

  it.each(printed)('does not show its value in %s', (_where, print) => {
    const text = print()
    expect(text).not.toBe('')
    expect(text).not.toContain(value)
  })

  it('prints as [redacted] in a log', () => {
    expect(captured((destination) => log('json', destination))).toContain('[redacted]')
  })
})

function log(format: 'json' | 'pretty', destination: Writable): void {
  const logger = createLogger({ level: 'info', format, destination })
  logger.child({ bound: secret }).info({ secret, deep: { list: [secret] } }, 'constant message')
}

function captured(write: (stream: Writable) => void): string {
  const chunks: string[] = []
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      chunks.push(String(chunk))
      done()
    },
  })
  write(stream)
  return chunks.join('')
}
