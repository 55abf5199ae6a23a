import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const maxLength = 72
const types = ['build', 'chore', 'ci', 'docs', 'feat', 'fix', 'perf', 'refactor', 'revert', 'test']
/** Begin a clause, never a command. */
const notVerbs = new Set(
  'a an the this that these those it its is are was were who what which when where why how if as at after before by for from in of on to with each every all no nothing none some one two only now new'.split(
    ' ',
  ),
)
/** Verbs with the endings of other forms. */
const oddVerbs = new Set('bring embed exceed feed focus need ping proceed seed shed speed spring string'.split(' '))
/** Verbs with which a second change begins. */
const secondChange = /(?:;| and (?:also |then )?(?:add|change|delete|drop|fix|move|remove|rename|replace|update)\b)/

/** Git writes these itself, or rewrites them before they land. */
const exempt = /^(?:Merge |Revert "|fixup! |squash! |amend! )/

/**
 * Says what is wrong with the subject of a commit: a conventional type, one change, in the imperative as far as its
 * first word tells.
 *
 * @param message the whole message, comments of git's editor included
 * @returns one sentence for each fault
 */
export function subjectFaults(message: string): string[] {
  const [subject = '', second = ''] = message.split('\n').filter((line) => !line.startsWith('#'))
  if (exempt.test(subject)) return []
  const faults: string[] = []
  if (subject.length > maxLength) faults.push(`the subject has ${subject.length} characters; at most ${maxLength} fit`)
  if (second !== '') faults.push('the second line is not empty')
  const parts = /^(?<type>\w+)(?:\([a-z0-9-]+\))?!?: (?<text>\S.*)$/.exec(subject)?.groups
  const text = parts?.['text']
  if (text === undefined) return [...faults, 'the subject is not `type: text` or `type(scope): text`']
  const type = parts?.['type'] ?? ''
  if (!types.includes(type)) faults.push(`\`${type}\` is no type: use one of ${types.join(', ')}`)
  return [...faults, ...textFaults(text)]
}

/** @param text the subject without its type */
function textFaults(text: string): string[] {
  const faults: string[] = []
  if (text.endsWith('.')) faults.push('the subject ends with a full stop')
  if (secondChange.test(text)) faults.push('the subject names two changes: make two commits')
  const [word = ''] = text.split(' ')
  if (!isImperative(word)) faults.push(`\`${word}\` is no imperative: begin with a verb, as in \`add\` or \`fix\``)
  return faults
}

function isImperative(word: string): boolean {
  if (!/^[a-z]+(?:-[a-z]+)*$/.test(word) || notVerbs.has(word)) return false
  return oddVerbs.has(word) || !/(?:ing|ed|[^s]s|tion)$/.test(word)
}

/** `FILE` with one message (as git's hook has it), or a range of commits. @returns messages by their name */
function readMessages(argument: string): Map<string, string> {
  if (!argument.includes('..')) return new Map([[argument, readFileSync(argument, 'utf8')]])
  const log = execFileSync('git', ['log', '--no-merges', '-z', '--format=%h %B', argument], { encoding: 'utf8' })
  const entries = log.split('\0').filter((entry) => entry !== '')
  return new Map(entries.map((entry) => [entry.slice(0, entry.indexOf(' ')), entry.slice(entry.indexOf(' ') + 1)]))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const argument = process.argv[2]
  if (argument === undefined) throw new Error('name the file of a commit message, or a range of commits (A..B)')
  for (const [name, message] of readMessages(argument)) {
    for (const fault of subjectFaults(message)) {
      process.stderr.write(`${name}: ${message.split('\n')[0] ?? ''}\n  ${fault}\n`)
      process.exitCode = 1
    }
  }
}
