import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { runToEnd } from '../support/run.ts'

const root = join(import.meta.dirname, '../..')

async function versionOnNode(version: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const fields = { versions: { value: { node: version } }, version: { value: `v${version}` } }
  const pretend = `data:text/javascript,Object.defineProperties(process, ${JSON.stringify(fields)})`
  return await runToEnd(process.execPath, ['--import', pretend, join(root, 'src/main.ts'), '--version'])
}

it('the oldest Node that package.json asks for is told of, in one line, by any older one', async () => {
  const { engines } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { engines: { node: string } }
  const oldest = Number(/^>=(\d+)$/.exec(engines.node)?.[1])
  expect(await versionOnNode(`${oldest - 1}.9.9`)).toEqual({
    code: 1,
    stdout: '',
    stderr: `enos-credential-operator: Node ${oldest} or later is needed; this is v${oldest - 1}.9.9\n`,
  })
  expect(await versionOnNode(`${oldest}.0.0`)).toMatchObject({ code: 0, stderr: '' })
})
