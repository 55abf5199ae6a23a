import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '../../..')
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'make-'))
  for (const name of ['Makefile', 'package.json', 'package-lock.json', '.npmrc']) {
    copyFileSync(join(root, name), join(folder, name))
  }
})

afterEach(() => {
  rmSync(folder, { recursive: true })
})

/** The commands that `make demo` would run. */
function commands(): string {
  return execFileSync('make', ['--dry-run', 'demo'], { cwd: folder, encoding: 'utf8' })
}

/** Leaves the file that npm writes at the end of an installation. */
function installedAt(time: Date): void {
  mkdirSync(join(folder, 'node_modules'), { recursive: true })
  const file = join(folder, 'node_modules/.package-lock.json')
  writeFileSync(file, '{}')
  utimesSync(file, time, time)
}

describe('make demo', () => {
  it('installs dependencies in a fresh clone', () => {
    expect(commands()).toContain('npm --loglevel=error --no-fund --no-audit ci')
  })

  it('does not install again after npm ci', () => {
    installedAt(new Date(Date.now() + 1000))
    expect(commands()).not.toContain('Installing')
    expect(commands()).toContain('node demo/main.ts')
  })

  it('installs again after a change of package-lock.json', () => {
    installedAt(new Date(Date.now() - 60_000))
    expect(commands()).toContain('Installing')
  })
})
