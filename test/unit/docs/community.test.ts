import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'

const folder = fileURLToPath(new URL('../../../.github', import.meta.url))
const forms = (await readdir(join(folder, 'ISSUE_TEMPLATE'))).filter((name) => name !== 'config.yml')

interface Form {
  readonly name: string
  readonly description: string
  readonly body: readonly {
    readonly type: string
    readonly id?: string
    readonly attributes: { readonly label?: string; readonly value?: string }
    readonly validations?: { readonly required: boolean }
  }[]
}

async function form(name: string): Promise<Form> {
  return parse(await readFile(join(folder, 'ISSUE_TEMPLATE', name), 'utf8')) as Form
}

describe('the issue forms', () => {
  it('are there for faults and wishes', () => {
    expect(forms).toEqual(['fault.yml', 'wish.yml'])
  })

  // https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/syntax-for-githubs-form-schema
  it.each(forms)('%s keeps the schema of GitHub', async (name) => {
    const { name: title, description, body } = await form(name)
    expect(title.length).toBeGreaterThan(3)
    expect(description.length).toBeGreaterThan(3)
    const fields = body.filter(({ type }) => type !== 'markdown')
    for (const { type, attributes } of fields) {
      expect(['input', 'textarea', 'dropdown', 'checkboxes']).toContain(type)
      expect(attributes.label).toMatch(/\w/)
    }
    for (const { attributes } of body.filter(({ type }) => type === 'markdown')) expect(attributes.value).toMatch(/\w/)
    const ids = fields.map(({ id }) => id)
    expect(
      ids.every((id) => /^[\w-]+$/.test(id ?? '')),
      ids.join(),
    ).toBe(true)
    expect(new Set(ids).size).toBe(ids.length)
    expect(fields.some(({ validations }) => validations?.required)).toBe(true)
  })

  it('ask for no secret, and say that a vulnerability is reported in private', async () => {
    const text = (await form('fault.yml')).body.find(({ type }) => type === 'markdown')?.attributes.value
    expect(text).toContain('SECURITY.md')
    expect(text).toContain('Leave out every appKey, appSecret and token')
  })
})
