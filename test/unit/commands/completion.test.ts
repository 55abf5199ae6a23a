import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { completionCommand } from '../../../src/commands/completion.ts'
import { runProgram } from '../../../src/commands/program.ts'
import { SystemClock } from '../../../src/lib/clock.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import { run, runToEnd } from '../../support/run.ts'

let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'completion-'))
})

afterAll(async () => {
  await rm(directory, { recursive: true })
})

/** Of the whole program. @returns the path of the script */
async function scriptFor(shell: string): Promise<string> {
  let printed = ''
  const code = await runProgram(['completion', shell], {
    environment: {},
    clock: new SystemClock(),
    random: systemRandom,
    stdin: process.stdin,
    openApiServer: () => {
      throw new Error('a completion calls no API server')
    },
    print: (text) => (printed += text),
    outputClosed: new AbortController().signal,
    printError: (text) => (printed += text),
    signal: new AbortController().signal,
  })
  expect(code).toBe(0)
  const file = join(directory, shell)
  await writeFile(file, printed)
  return file
}

async function has(shell: string): Promise<boolean> {
  return await runToEnd(shell, ['-c', 'true']).then(
    ({ code }) => code === 0,
    () => false,
  )
}

const shells: Readonly<Record<string, boolean>> = Object.fromEntries(
  await Promise.all(['bash', 'zsh', 'fish'].map(async (name) => [name, await has(name)] as const)),
)

const cases: readonly [string, readonly string[]][] = [
  ['st', ['status']],
  ['comp', ['completion']],
  ['status --out', ['--output']],
  ['status --output j', ['json']],
  ['run --log-level de', ['debug']],
  ['run --metrics-tls-c', ['--metrics-tls-cert-file']],
  ['completion z', ['zsh']],
  ['run --namespace ', []],
]

describe('the completion script', () => {
  it.skipIf(shells['bash'] !== true).each(cases)('completes %j in bash', async (line, expected) => {
    const words = ['enos-credential-operator', ...line.split(' ')]
    const program = `source '${await scriptFor('bash')}'; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _enos_credential_operator; printf '%s\n' "\${COMPREPLY[@]}"`
    const completed = await run('bash', ['--norc', '-c', program, 'bash', ...words])
    expect(completed.split('\n').filter((word) => word !== '')).toEqual(expected)
  })

  it.skipIf(shells['fish'] !== true).each(cases)('completes %j in fish', async (line, expected) => {
    for (const caller of ['enos-credential-operator', 'kubectl-enos']) {
      const program = `source '${await scriptFor('fish')}'; complete -C '${caller} ${line}'`
      const completed = await run('fish', ['--no-config', '-c', program])
      // A word, and behind a tab its description.
      const words = completed.split('\n').filter((each) => each !== '')
      expect(words.map((each) => each.split('\t')[0])).toEqual(expected)
    }
  })

  it.skipIf(shells['zsh'] !== true)('hands zsh the commands, and the flags of a command', async () => {
    // The two functions are zsh's own, and work inside of a completion only.
    const stubs = `compdef() { }; _describe() { print -l -- "\${(@P)2}" }; _arguments() { print -l -- "$@" }`
    const program = `${stubs}; source '${await scriptFor('zsh')}'; words=("$@"); CURRENT=$#; _enos_credential_operator`
    const complete = async (...words: string[]): Promise<string[]> =>
      (await run('zsh', ['-f', '-c', program, 'zsh', 'enos-credential-operator', ...words])).trim().split('\n')
    expect(await complete('')).toContain('run:run the operator')
    const flags = await complete('run', '')
    expect(flags.find((flag) => flag.startsWith('--log-level['))).toMatch(
      /:value:\(trace debug info warn error silent\)$/,
    )
    expect(flags.find((flag) => flag.startsWith('--kubeconfig'))).toMatch(/\]:file:_files$/)
    expect(flags.find((flag) => flag.includes('--namespace'))).toMatch(/^\*--namespace\[/)
    expect(await complete('completion', '')).toContain(':argument:(bash zsh fish)')
  })

  it('is quoted, whatever a description says', async () => {
    let printed = ''
    const program = new Command('x').addCommand(completionCommand({ print: (text) => (printed += text) }))
    program.command('odd').description("it's $(touch /tmp/x) `ls` [a]:b").option('--odd <file>', "it's odd: [x]")
    for (const shell of ['bash', 'zsh', 'fish'].filter((name) => shells[name] === true)) {
      printed = ''
      await program.parseAsync(['completion', shell], { from: 'user' })
      const file = join(directory, `odd-${shell}`)
      await writeFile(file, printed)
      expect(await runToEnd(shell, ['-n', file])).toMatchObject({ code: 0, stderr: '' })
      expect(printed).not.toContain("it's")
    }
  })
})
