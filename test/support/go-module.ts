import { run } from './run.ts'

/**
 * Downloads the source of a Go module, once.
 *
 * @param module like `github.com/owner/name@v1.2.3`
 * @returns its folder
 */
export async function goModuleFolder(module: string): Promise<string> {
  const { Dir: folder } = JSON.parse(await run('go', ['mod', 'download', '-json', module])) as { Dir: string }
  return folder
}
