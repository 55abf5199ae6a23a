import { readdir, readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { alerts } from '../../../monitoring/rules.ts'
import { parseShellBlocks } from '../../integration/shell-blocks.ts'

const folder = new URL('../../../docs/runbooks/', import.meta.url)

describe('the runbooks', () => {
  it('are one page for each alert, and no other', async () => {
    expect((await readdir(folder)).toSorted()).toEqual(alerts.map(({ name }) => `${name}.md`).toSorted())
  })

  it.each(alerts)('of $name begins with what it means for pods, and ends with what to run', async ({ name }) => {
    const page = await readFile(new URL(`${name}.md`, folder), 'utf8')
    const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading)
    expect(headings).toEqual([name, 'What it means for your pods', 'What is seen', 'Causes', 'What to run'])
    expect(page).toMatch(/^```\n$/m)
    expect(page.endsWith('\n```\n')).toBe(true)
    const blocks = parseShellBlocks(page)
    expect(blocks).toHaveLength(1)
    expect(blocks[0]?.commands.length).toBeGreaterThan(1)
  })
})
