import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { missingFlags, type ProcessSettings } from '../../src/runtime-flags.ts'
import { runToEnd } from '../support/run.ts'

const mebibyte = 1024 * 1024
const settings = (overrides: Partial<ProcessSettings> = {}): ProcessSettings => ({
  execArgv: [],
  environment: {},
  memory: { limit: 0, machine: 8192 * mebibyte },
  ...overrides,
})

describe('missingFlags', () => {
  it('bounds the heap by a share of the limit of the container', () => {
    const memory = { limit: 256 * mebibyte, machine: 8192 * mebibyte }
    expect(missingFlags(settings({ memory }))).toEqual([
      '--expose-gc',
      '--max-semi-space-size=8',
      '--max-old-space-size=153',
    ])
  })

  it.each([0, 9000 * mebibyte, 2 ** 64])('bounds the heap at a fixed size without a limit, told as %d', (limit) => {
    const memory = { limit, machine: 8192 * mebibyte }
    expect(missingFlags(settings({ memory }))).toEqual([
      '--expose-gc',
      '--max-semi-space-size=8',
      '--max-old-space-size=512',
    ])
  })

  it.each(['--max-old-space-size=900', '--max_old_space_size=900', '--max-old-space-size-percentage=60'])(
    'leaves %s as it is, as an option and in NODE_OPTIONS',
    (option) => {
      const flags = ['--expose-gc', '--max-semi-space-size=8']
      expect(missingFlags(settings({ execArgv: ['--inspect', option] }))).toEqual(flags)
      expect(missingFlags(settings({ environment: { NODE_OPTIONS: `--inspect  ${option}` } }))).toEqual(flags)
    },
  )

  it('adds nothing to its own flags', () => {
    expect(missingFlags(settings({ execArgv: missingFlags(settings()) }))).toEqual([])
  })
})

describe('the launcher', () => {
  const launch = async (args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
    const report =
      'data:text/javascript,const{MALLOC_ARENA_MAX:a,MALLOC_MMAP_THRESHOLD_:b}=process.env;process.on("exit",()=>console.log(JSON.stringify({flags:process.execArgv.slice(2),malloc:[a,b],environment:process.env})))'
    const { stdout } = await runToEnd(
      process.execPath,
      ['--import', report, join(import.meta.dirname, '../../src/launch.ts'), ...args],
      { env },
    )
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
  }

  it('starts run once more with the flags and the settings of the allocator', async () => {
    const flags = [
      '--expose-gc',
      expect.stringMatching(/^--max-semi-space-size=\d+$/),
      expect.stringMatching(/^--max-old-space-size=\d+$/),
    ]
    expect(await launch(['run', '--unknown'])).toEqual([{ flags, malloc: ['2', '16384'], environment: {} }])
  })

  it('leaves the environment to credential plugins as the user gave it', async () => {
    const environment = { MALLOC_ARENA_MAX: '2', OTHER: 'x' }
    const [launched] = await launch(['run', '--unknown'], environment)
    expect(launched).toMatchObject({ malloc: ['2', '16384'] })
    expect(launched).toHaveProperty('environment', environment)
  })

  it('keeps what the user set', async () => {
    const env = {
      NODE_OPTIONS: '--max-semi-space-size=1 --max-old-space-size=99',
      MALLOC_ARENA_MAX: '1',
      MALLOC_MMAP_THRESHOLD_: '65536',
    }
    expect(await launch(['run', '--unknown'], env)).toEqual([
      { flags: ['--expose-gc'], malloc: ['1', '65536'], environment: env },
    ])
  })

  it('leaves other commands alone', async () => {
    expect(await launch(['check', '--unknown'])).toEqual([{ flags: [], malloc: [null, null], environment: {} }])
  })
})
