import { Argument, Command, type Option } from 'commander'
import type { CommandContext } from './context.ts'

/** The names by which the program is called. */
const callers = ['enos-credential-operator', 'kubectl-enos']

const examples = `
Examples:
  source <(enos-credential-operator completion bash)
  source <(enos-credential-operator completion zsh)
  enos-credential-operator completion fish | source

The line keeps its effect in ~/.bashrc, in ~/.zshrc after compinit, and in ~/.config/fish/config.fish.`

/** `completion`: a script for the user's shell, made from the commands and options of the program. */
export function completionCommand({ print }: Pick<CommandContext, 'print'>): Command {
  return new Command('completion')
    .description('print a script that completes commands and flags in a shell')
    .addArgument(new Argument('<shell>', 'shell that reads the script').choices(Object.keys(scripts)))
    .addHelpText('after', examples)
    .action((shell: string, _: unknown, command: Command) => {
      const program = command.parent ?? command
      print(scripts[shell]?.(program.commands.map(shapeOf)) ?? '')
    })
}

interface OptionShape {
  readonly long: string
  readonly short: string | undefined
  readonly description: string
  readonly takes: 'nothing' | 'file' | 'text'
  readonly isRepeated: boolean
  readonly choices: readonly string[]
}

interface CommandShape {
  readonly name: string
  readonly description: string
  readonly options: readonly OptionShape[]
  /** Of the first argument. */
  readonly choices: readonly string[]
}

function shapeOf(command: Command): CommandShape {
  return {
    name: command.name(),
    description: command.description(),
    options: [...command.options.map(optionShapeOf), ...helpOption],
    choices: command.registeredArguments[0]?.argChoices ?? [],
  }
}

const helpOption: readonly OptionShape[] = [
  { long: '--help', short: '-h', description: 'display help', takes: 'nothing', isRepeated: false, choices: [] },
]

function optionShapeOf(option: Option): OptionShape {
  // Defaults and variables stand in brackets behind the first words.
  const description = option.description.replace(/[[(].*/s, '').trim()
  // Flags of `run` are checked by the configuration, and not by commander.
  const described = /one of ([\w, ]+)/.exec(description)?.[1]?.split(', ')
  return {
    long: option.long ?? '',
    short: option.short,
    description,
    takes: option.required ? (option.flags.includes('<file>') ? 'file' : 'text') : 'nothing',
    isRepeated: option.description.includes('can be repeated'),
    choices: option.argChoices ?? described ?? [],
  }
}

function namesOf({ long, short }: OptionShape): string[] {
  return short === undefined ? [long] : [short, long]
}

/** For a word in single quotes, as all three shells read them. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", '’')}'`
}

const scripts: Readonly<Record<string, (commands: readonly CommandShape[]) => string>> = { bash, zsh, fish }

function bash(commands: readonly CommandShape[]): string {
  const valuesOf = ({ name, options }: CommandShape): string[] =>
    options
      .filter(({ takes }) => takes !== 'nothing')
      .map((option) => {
        const pattern = namesOf(option)
          .map((each) => quoted(`${name} ${each}`))
          .join(' | ')
        if (option.takes === 'file') return `    ${pattern}) COMPREPLY=($(compgen -f -- "$current")); return ;;`
        return `    ${pattern}) words=${quoted(option.choices.join(' '))} ;;`
      })
  const wordsOf = ({ choices, name, options }: CommandShape): string =>
    `    ${quoted(name)}\\ *) words=${quoted([...choices, ...options.flatMap(namesOf)].join(' '))} ;;`
  return `_enos_credential_operator() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} words=
  if [ "$COMP_CWORD" -eq 1 ]; then previous=; fi
  case "\${COMP_WORDS[1]} $previous" in
${commands.flatMap(valuesOf).join('\n')}
    *\\ ) words=${quoted(commands.map(({ name }) => name).join(' '))} ;;
${commands.map(wordsOf).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _enos_credential_operator ${callers.join(' ')}
`
}

function zsh(commands: readonly CommandShape[]): string {
  const described = (text: string): string => text.replaceAll(/[[\]:\\]/g, '\\$&')
  const specOf = (option: OptionShape): string[] => {
    const values = option.choices.length > 0 ? `(${option.choices.join(' ')})` : ''
    const value = { nothing: '', file: ':file:_files', text: `:value:${values}` }[option.takes]
    const others = option.isRepeated ? '*' : ''
    return namesOf(option).map((each) => quoted(`${others}${each}[${described(option.description)}]${value}`))
  }
  const argumentsOf = ({ choices, name, options }: CommandShape): string => {
    const specs = [...options.flatMap(specOf), ...(choices.length > 0 ? [`':argument:(${choices.join(' ')})'`] : [])]
    return `    ${name})\n      _arguments ${specs.join(' \\\n        ')}\n      ;;`
  }
  const names = commands.map(({ description, name }) => quoted(`${name}:${described(description)}`))
  return `#compdef ${callers.join(' ')}
_enos_credential_operator() {
  local -a commands=(${names.join(' ')})
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
${commands.map(argumentsOf).join('\n')}
  esac
}
compdef _enos_credential_operator ${callers.join(' ')}
`
}

function fish(commands: readonly CommandShape[]): string {
  const linesOf = (caller: string): string[] =>
    commands.flatMap(({ choices, description, name, options }) => {
      const within = `complete -c ${caller} -n '__fish_seen_subcommand_from ${name}' -f`
      return [
        `complete -c ${caller} -n __fish_use_subcommand -f -a ${name} -d ${quoted(description)}`,
        ...(choices.length > 0 ? [`${within} -a ${quoted(choices.join(' '))}`] : []),
        ...options.map((option) => {
          const short = option.short === undefined ? '' : ` -s ${option.short.slice(1)}`
          const value = { nothing: '', file: ' -r -F', text: ` -x -a ${quoted(option.choices.join(' '))}` }[
            option.takes
          ]
          return `${within.replace(/ -f$/, option.takes === 'file' ? '' : ' -f')} -l ${option.long.slice(2)}${short}${value} -d ${quoted(option.description)}`
        }),
      ]
    })
  return `${callers.flatMap(linesOf).join('\n')}\n`
}
