import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Linter } from 'eslint'
import tseslint from 'typescript-eslint'
import { describe, expect, it } from 'vitest'
import { impureFiles, isPure, pureFiles, pureImports } from '../../../tools/pure-files.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** @returns the messages of the rule about a file with this text */
function lint(file: string, text: string): string[] {
  const linter = new Linter({ cwd: root })
  const messages = linter.verify(
    text,
    [
      {
        files: ['**/*.ts'],
        languageOptions: { parser: tseslint.parser },
        plugins: { local: { rules: { 'pure-imports': pureImports } } },
        rules: { 'local/pure-imports': 'error' },
      },
    ],
    join(root, file),
  )
  return messages.map(({ message }) => message)
}

describe('the list of pure files', () => {
  it.each([...impureFiles, ...pureFiles])('names %s, which exists', async (file) => {
    await expect(access(join(root, file))).resolves.toBeUndefined()
  })

  it('has the plan, and neither writer nor client', () => {
    expect(isPure('src/plan/plan.ts')).toBe(true)
    expect(isPure('src/targets/target-writer.ts')).toBe(false)
    expect(isPure('src/kubernetes/http-client.ts')).toBe(false)
    expect(isPure('src/tokens/renewer.ts')).toBe(false)
  })
})

describe('the rule on imports of pure files', () => {
  it.each([
    "import { TargetWriter } from '../targets/target-writer.ts'",
    "import { type Written, TargetWriter } from '../targets/target-writer.ts'",
    "import { WorkQueue } from '../kubernetes/work-queue.ts'",
    "import '../kubernetes/store.ts'",
    "import { readFile } from 'node:fs/promises'",
    "import { request } from 'undici'",
    "import { connect, isIP } from 'node:net'",
    "import net from 'node:net'",
    "import 'node:net'",
  ])('refuses in the plan: %s', (text) => {
    expect(lint('src/plan/plan.ts', text)).toEqual([
      expect.stringMatching(/^src\/plan\/plan\.ts is pure .* types only/),
    ])
  })

  it.each([
    "import type { TargetWriter } from '../targets/target-writer.ts'",
    "import { type TargetWriter, type Written } from '../targets/target-writer.ts'",
    "import { isNotFound } from '../kubernetes/errors.ts'",
    "import { createHash } from 'node:crypto'",
    "import { BlockList, isIP } from 'node:net'",
  ])('allows in the plan: %s', (text) => {
    expect(lint('src/plan/plan.ts', text)).toEqual([])
  })

  it('leaves other files alone', () => {
    expect(lint('src/reconcile/executor.ts', "import { TargetWriter } from '../targets/target-writer.ts'")).toEqual([])
  })
})
