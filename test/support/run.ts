import { spawn } from 'node:child_process'

/** Runs a program to its end. @returns its standard output @throws with its standard error when it fails */
export async function run(file: string, args: readonly string[], input?: string): Promise<string> {
  const { code, stderr, stdout } = await runToEnd(file, args, input === undefined ? {} : { input })
  if (code !== 0) throw new Error(`${args.join(' ')}: exit code ${code}: ${stderr}`)
  return stdout
}

/** Runs a program to its end, with any exit code. */
export async function runToEnd(
  file: string,
  args: readonly string[],
  { env, input }: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(file, args, { stdio: 'pipe', ...(env === undefined ? {} : { env }) })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.stdin.end(input)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return { code, stdout, stderr }
}
