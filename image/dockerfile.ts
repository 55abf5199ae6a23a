import { readFile } from 'node:fs/promises'
import { Copy, DockerfileParser, type Instruction, JSONInstruction, PropertyInstruction } from 'dockerfile-ast'

/** What the last stage of a Dockerfile makes of its base image. */
export interface LastStage {
  labels: Record<string, string>
  env: Record<string, string>
  user: string
  /** Like `8080/tcp`. */
  exposedPorts: string[]
  entrypoint: string[]
  cmd: string[]
  /** Files of the stage `build`, by path there and in the image. */
  copies: { from: string; to: string }[]
}

type Arguments = Readonly<Record<string, string>>

/**
 * Reads the last stage, so that an image built without Docker is the same.
 *
 * @param buildArgs values of ARG instructions, as of `docker build --build-arg`
 * @throws on an instruction that only Docker can carry out
 */
export function parseLastStage(text: string, buildArgs: Arguments = {}): LastStage {
  const instructions = DockerfileParser.parse(text).getInstructions()
  const from = instructions.findLastIndex((instruction) => instruction.getKeyword() === 'FROM')
  const args: Record<string, string> = {}
  const stage: LastStage = { labels: {}, env: {}, user: '', exposedPorts: [], entrypoint: [], cmd: [], copies: [] }
  for (const instruction of instructions.slice(from + 1)) read(instruction, { stage, args, buildArgs })
  return stage
}

/** @returns what the project's Dockerfile makes of its base image */
export async function readLastStage(buildArgs: Arguments): Promise<LastStage> {
  return parseLastStage(await readFile(new URL('../Dockerfile', import.meta.url), 'utf8'), buildArgs)
}

interface Parsing {
  readonly stage: LastStage
  /** Values of the ARG instructions so far. */
  readonly args: Record<string, string>
  readonly buildArgs: Arguments
}

function read(instruction: Instruction, { args, buildArgs, stage }: Parsing): void {
  const keyword = instruction.getKeyword()
  const words = instruction.getArguments().map((argument) => argument.getValue())
  switch (keyword) {
    case 'ARG': {
      const [name = '', value = ''] = words.join(' ').split('=')
      args[name] = buildArgs[name] ?? value
      break
    }
    case 'LABEL':
      Object.assign(stage.labels, properties(instruction, args))
      break
    case 'ENV':
      Object.assign(stage.env, properties(instruction, args))
      break
    case 'USER':
      stage.user = words.join(' ')
      break
    case 'EXPOSE':
      stage.exposedPorts = words.map((port) => (port.includes('/') ? port : `${port}/tcp`))
      break
    case 'ENTRYPOINT':
      stage.entrypoint = strings(instruction)
      break
    case 'CMD':
      stage.cmd = strings(instruction)
      break
    case 'COPY':
      stage.copies.push(copied(instruction, words))
      break
    default:
      throw new Error(`Dockerfile: the last stage has ${keyword}, which image/dockerfile.ts cannot carry out`)
  }
}

function strings(instruction: Instruction): string[] {
  if (!(instruction instanceof JSONInstruction) || instruction.getOpeningBracket() === null) {
    throw new Error(`Dockerfile: ${instruction.getKeyword()} is expected as a JSON array, for there is no shell`)
  }
  return instruction.getJSONStrings().map((string) => string.getJSONValue())
}

function properties(instruction: Instruction, args: Arguments): Record<string, string> {
  if (!(instruction instanceof PropertyInstruction)) throw new Error('Dockerfile: NAME=VALUE is expected')
  const expand = (value: string): string =>
    value.replace(/\$\{(\w+)\}|\$(\w+)/g, (_, braced?: string, bare?: string) => args[braced ?? bare ?? ''] ?? '')
  return Object.fromEntries(
    instruction.getProperties().map((property) => [property.getName(), expand(property.getValue() ?? '')]),
  )
}

function copied(instruction: Instruction, words: readonly string[]): { from: string; to: string } {
  const stage = instruction instanceof Copy ? instruction.getFromFlag()?.getValue() : undefined
  const [from, to, ...others] = words
  if (stage !== 'build' || from === undefined || to === undefined || others.length > 0) {
    throw new Error('Dockerfile: COPY in the last stage is expected as `COPY --from=build FILE FILE`')
  }
  return { from, to }
}
