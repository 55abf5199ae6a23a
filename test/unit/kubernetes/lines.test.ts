import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readLines } from '../../../src/kubernetes/lines.ts'
import { collect } from './local-server.ts'

async function linesOf(chunks: readonly Uint8Array[]): Promise<string[]> {
  // eslint-disable-next-line @typescript-eslint/require-await -- the stream has all its chunks
  async function* stream(): AsyncGenerator<Uint8Array> {
    yield* chunks
  }
  return await collect(readLines(stream()))
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('readLines', () => {
  it.each([
    ['no chunk', [], []],
    ['one line', ['a\n'], ['a']],
    ['two lines in a chunk', ['a\nb\n'], ['a', 'b']],
    ['a line over three chunks', ['a', 'b', 'c\n'], ['abc']],
    ['empty lines', ['\n\na\n\n'], ['a']],
    ['a newline by itself', ['a', '\n'], ['a']],
    ['an empty chunk', ['a', '', '\n'], ['a']],
  ])('reads %s', async (_name, chunks, expected) => {
    expect(await linesOf(chunks.map(bytes))).toEqual(expected)
  })

  it('drops a last line without a newline', async () => {
    expect(await linesOf([bytes('{"a":1}\n{"b":')])).toEqual(['{"a":1}'])
  })

  it('yields the same lines however the stream is cut, within characters as well', async () => {
    const line = fc.string({ unit: 'grapheme', maxLength: 12 }).map((text) => text.replaceAll('\n', ''))
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.array(fc.nat(200)), async (lines, cuts) => {
        const all = bytes(lines.map((text) => `${text}\n`).join(''))
        const places = [0, ...cuts.map((cut) => cut % (all.length + 1)).toSorted((a, b) => a - b), all.length]
        const chunks = places.slice(1).map((end, i) => all.subarray(places[i], end))
        // A BOM at the very start belongs to the encoding, not to the text.
        const expected = lines.join('\n').startsWith('\uFEFF') ? [lines[0]?.slice(1), ...lines.slice(1)] : lines
        expect(await linesOf(chunks)).toEqual(expected.filter((text) => text !== ''))
      }),
    )
  })

  it('rejects a line over the limit without quoting it', async () => {
    const chunk = bytes('x'.repeat(1024 * 1024))
    const error: unknown = await linesOf(Array.from({ length: 9 }, () => chunk)).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(RangeError)
    expect((error as Error).message).toBe('a line of more than 8388608 characters')
  })

  it('accepts many lines that exceed the limit only together', async () => {
    const chunk = bytes(`${'x'.repeat(1024 * 1024)}\n`)
    expect(await linesOf(Array.from({ length: 9 }, () => chunk))).toHaveLength(9)
  })
})
