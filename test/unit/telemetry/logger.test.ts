import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createLogger } from '../../../src/telemetry/logger.ts'

const escape = String.fromCharCode(27)

/** What a logger in the format pretty writes. */
function written(colour: boolean | undefined, log: (logger: ReturnType<typeof createLogger>) => void): string {
  const chunks: string[] = []
  const destination = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk))
      done()
    },
  })
  log(
    createLogger({
      level: 'debug',
      format: 'pretty',
      destination,
      ...(colour === undefined ? {} : { usesColours: colour }),
    }),
  )
  return chunks.join('')
}

describe('createLogger with the format pretty', () => {
  it('the logger writes one line a message, with its fields', () => {
    const text = written(undefined, (log) => {
      log.warn({ credential: 'plant-a/wind-farm', detail: 'a\nb', targets: ['x', 'y'] }, 'problem found')
    })
    expect(text).toMatch(
      /^\[.*\] WARN: problem found \{"credential":"plant-a\/wind-farm","detail":"a\\nb","targets":\["x","y"\]\}\n$/,
    )
  })

  it('the logger writes an error with its stack in one line', () => {
    const text = written(undefined, (log) => {
      log.error({ err: new Error('broken', { cause: new Error('inner') }) }, 'failed')
    })
    expect(text.trimEnd().split('\n')).toHaveLength(1)
    expect(text).toContain('broken')
    expect(text).toContain('logger.test.ts')
  })

  it('the logger writes colour codes only where they are asked for', () => {
    const line = (colour: boolean | undefined) =>
      written(colour, (log) => {
        log.info('starting')
      })
    expect(line(undefined)).not.toContain(escape)
    expect(line(false)).not.toContain(escape)
    expect(line(true)).toContain(escape)
  })

  it('the logger writes no colour codes into a file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'logger-'))
    onTestFinished(() => {
      rmSync(folder, { recursive: true })
    })
    const file = join(folder, 'log')
    const stdout = openSync(file, 'w')
    const module = (path: string): string => JSON.stringify(new URL(`../../../src/${path}`, import.meta.url))
    const script = `
      import { SystemClock } from ${module('lib/clock.ts')}
      import { openLog } from ${module('telemetry/standard-output.ts')}
      const config = { logLevel: 'info', logFormat: 'pretty', usesLogColours: undefined }
      openLog(config, process, new SystemClock()).log.info({ a: 1 }, 'starting')`
    const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', stdout, 'inherit'],
      timeout: 20_000,
    })
    closeSync(stdout)
    expect(status).toBe(0)
    expect(readFileSync(file, 'utf8')).toMatch(/^\[[^\]]*\] INFO: starting \{"a":1\}\n$/)
  })
})
