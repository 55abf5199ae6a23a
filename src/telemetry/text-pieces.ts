/**
 * Bytes of a piece, which is made in some 2 ms. Smaller ones wait for the event loop and the compressor more often, so a
 * scrape beside other work takes longer.
 */
export const maxPieceBytes = 256 * 1024

/**
 * Encodes texts as UTF-8 into one buffer, piece by piece. Strings or buffers of the size of a piece would stay until the
 * next full collection of garbage, which an operator at rest hardly ever needs: 10 MiB for each scrape of 10,000 resources.
 */
export class TextPieces {
  readonly #encoder = new TextEncoder()
  /** The buffer while no scrape uses it. A scrape beside another one makes a second, and one of them is kept. */
  #idle: Uint8Array | undefined;

  /** A piece is valid until the next one is asked for. */
  *of(texts: Iterable<string>): Generator<Uint8Array> {
    const buffer = this.#idle ?? new Uint8Array(maxPieceBytes)
    this.#idle = undefined
    try {
      let length = 0
      for (let text of texts) {
        while (text !== '') {
          const { read, written } = this.#encoder.encodeInto(text, buffer.subarray(length))
          length += written
          text = text.slice(read)
          if (text === '') break
          yield buffer.subarray(0, length)
          length = 0
        }
      }
      yield buffer.subarray(0, length)
    } finally {
      this.#idle = buffer
    }
  }
}
