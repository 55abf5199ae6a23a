import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { runToEnd } from './run.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** What stands in a page for a value of its reader, and the value of the test. */
export type Replacements = readonly (readonly [text: string | RegExp, value: string])[]

export interface PageFolderOptions {
  /** Folder of kubectl. */
  readonly assets: string
  readonly kubeconfig: string
  /** The namespace of the reader's context. */
  readonly namespace?: string
  readonly replacements?: Replacements
  /** Files and folders of the clone that the page names. */
  readonly clone?: readonly string[]
  /** Further programs, by their name. */
  readonly programs?: Readonly<Record<string, string>>
}

/** A folder in which a test runs the commands of a page as its reader does, with the values of the test. */
export class PageFolder {
  readonly path: string
  readonly #options: PageFolderOptions

  private constructor(path: string, options: PageFolderOptions) {
    this.path = path
    this.#options = options
  }

  static async create(options: PageFolderOptions): Promise<PageFolder> {
    const folder = new PageFolder(await mkdtemp(join(tmpdir(), 'page-')), options)
    const { clone = [], kubeconfig, namespace, programs = {} } = options
    for (const name of clone) await symlink(join(root, name), join(folder.path, name))
    for (const [name, program] of Object.entries(programs)) await symlink(program, join(folder.path, name))
    const command = join(folder.path, 'enos-credential-operator')
    await writeFile(command, `#!/bin/sh\nexec ${process.execPath} ${join(root, 'dist/main.js')} "$@"\n`)
    await chmod(command, 0o755)
    await writeFile(join(folder.path, 'kubeconfig'), await readFile(kubeconfig, 'utf8'))
    if (namespace !== undefined) await folder.shell(`kubectl config set-context --current --namespace ${namespace}`)
    return folder
  }

  /** Writes the manifests of a page, each to the path in its first line. @returns the paths */
  async writeManifests(page: string): Promise<string[]> {
    const paths: string[] = []
    for (const [, path = '', text = ''] of page.matchAll(/^```yaml\n# (\S+\.yaml)\n(.*?)^```$/gms)) {
      await this.write(path, text)
      paths.push(path)
    }
    return paths
  }

  /** Writes a file with the values of the test. */
  async write(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(this.path, path)), { recursive: true })
    await writeFile(join(this.path, path), this.#here(text))
  }

  /** Runs commands in one shell. @returns their standard output @throws where one of them fails */
  async shell(commands: string): Promise<string> {
    const { code, stderr, stdout } = await this.shellToEnd(commands)
    expect(code, `${commands}: ${stderr}${stdout}`).toBe(0)
    return stdout
  }

  /** The same with any exit code. */
  async shellToEnd(commands: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const path = [this.path, this.#options.assets, dirname(process.execPath), process.env['PATH']].join(delimiter)
    const env = { ...process.env, PATH: path, KUBECONFIG: join(this.path, 'kubeconfig') }
    const script = `cd ${this.path}; ${this.#here(commands)}`
    return await runToEnd('bash', ['-euo', 'pipefail', '-c', script], { env })
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true })
  }

  #here(text: string): string {
    const { replacements = [] } = this.#options
    return replacements.reduce((so, [placeholder, value]) => so.replaceAll(placeholder, value), text)
  }
}

/** The values of a reader who has a gateway without TLS, an application and a namespace. */
export function readersValues(of: {
  readonly gatewayUrl: string
  readonly appKey: string
  readonly appSecret: string
  readonly namespace: string
}): Replacements {
  return [
    ['url: https://apim.example.com', `url: ${of.gatewayUrl}\n    allowInsecureHTTP: true`],
    ['appKey=KEY', `appKey=${of.appKey}`],
    ['appSecret=SECRET', `appSecret=${of.appSecret}`],
    [' default/', ` ${of.namespace}/`],
  ]
}
