import { readFile, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { type Row, table } from './row.ts'

const file = fileURLToPath(new URL('../docs/performance.md', import.meta.url))
const [begin, end] = ['<!-- table: written by bench -->', '<!-- end of the table -->']

/** Puts the lines into docs/performance.md. Lines that were not measured in this run stay. */
export async function writePage(rows: readonly Row[], apiServer: string): Promise<void> {
  const page = await readFile(file, 'utf8')
  const [from, to] = [page.indexOf(begin) + begin.length, page.indexOf(end)]
  if (from < begin.length || to < from) throw new Error(`${file} has no line ${begin}, or none ${end} after it`)
  const measured = new Map(rows.map((row) => [row.measure, row]))
  const known = parseRows(page.slice(from, to)).map((row) => measured.get(row.measure) ?? row)
  const added = rows.filter((row) => !known.includes(row))
  const machine = `Node ${process.version}, Kubernetes ${apiServer}, ${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}).`
  const text = `${page.slice(0, from)}\n\n${table([...known, ...added])}\n\n${machine}\n\n${page.slice(to)}`
  await writeFile(file, await format(text, { ...(await resolveConfig(file)), parser: 'markdown' }))
}

function parseRows(text: string): Row[] {
  return text
    .split('\n')
    .filter((line) => /\| \**(?:reached|missed)\** *\|$/.test(line))
    .map((line) => {
      const [, measure = '', reach = '', seen = '', verdict = ''] = line.split('|').map((cell) => cell.trim())
      return { measure, reach, seen, isReached: verdict === 'reached' }
    })
}
