import { describe, expect, it } from 'vitest'
import { maxPieceBytes, TextPieces } from '../../../src/telemetry/text-pieces.ts'

/** The pieces as they are when they are read, and the buffers that hold them. */
function readAll(pieces: Iterable<Uint8Array>) {
  const copies: Uint8Array[] = []
  const buffers = new Set<ArrayBufferLike>()
  for (const piece of pieces) {
    copies.push(Buffer.from(piece))
    buffers.add(piece.buffer)
  }
  return { sizes: copies.map(({ length }) => length), text: Buffer.concat(copies).toString(), buffers: [...buffers] }
}

describe('TextPieces', () => {
  it.each([
    ['no text', []],
    ['empty texts', ['', '']],
    ['a text of exactly one piece', ['x'.repeat(maxPieceBytes)]],
    ['a text of more than two pieces', [`${'x'.repeat(maxPieceBytes)}${'y'.repeat(maxPieceBytes)}z`]],
    ['short texts that fill several pieces', Array<string>(50_000).fill('enos_credential_targets 1\n')],
    ['characters of four bytes on the borders', ['abc', '😀'.repeat(maxPieceBytes / 2)]],
  ])('encode %s', (_, texts) => {
    const { sizes, text } = readAll(new TextPieces().of(texts))
    expect(text === texts.join('')).toBe(true)
    // All but the last are full, but for a character that had no room.
    for (const size of sizes.slice(0, -1)) expect(size).toBeGreaterThan(maxPieceBytes - 4)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(maxPieceBytes)
  })

  it('are all in one buffer, also in the next scrapes', () => {
    const pieces = new TextPieces()
    const texts = ['x'.repeat(3 * maxPieceBytes)]
    const { buffers } = readAll(pieces.of(texts))
    expect(buffers).toHaveLength(1)
    // This one ends early.
    for (const piece of pieces.of(texts)) {
      expect(piece.buffer).toBe(buffers[0])
      break
    }
    expect(readAll(pieces.of(texts)).buffers).toEqual(buffers)
  })

  it('are in another buffer beside a scrape in progress, and one of the two is kept', () => {
    const pieces = new TextPieces()
    const slow = pieces.of(['a'.repeat(2 * maxPieceBytes)])
    const first = slow.next().value as Uint8Array
    const beside = readAll(pieces.of(['b'.repeat(2 * maxPieceBytes)]))
    expect(beside.buffers).not.toContain(first.buffer)
    expect(Buffer.from(first).equals(Buffer.alloc(maxPieceBytes, 'a'))).toBe(true)
    const rest = readAll(slow)
    expect(rest).toMatchObject({ sizes: [maxPieceBytes], buffers: [first.buffer] })
    expect([first.buffer, ...beside.buffers]).toContain(readAll(pieces.of(['c'])).buffers[0])
  })
})
