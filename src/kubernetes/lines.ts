/** Larger than any object: etcd accepts 1.5 MiB, and base64 makes a Secret's data a third larger. */
const maxLineLength = 8 * 1024 * 1024

/**
 * Yields the non-empty lines of a stream of UTF-8, however the stream is cut into chunks.
 *
 * @throws RangeError for a line of more than 8 Mi characters
 */
export async function* readLines(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    rest += decoder.decode(chunk, { stream: true })
    let end = rest.indexOf('\n')
    let start = 0
    while (end >= 0) {
      if (end > start) yield rest.slice(start, end)
      start = end + 1
      end = rest.indexOf('\n', start)
    }
    rest = rest.slice(start)
    if (rest.length > maxLineLength) throw new RangeError(`a line of more than ${maxLineLength} characters`)
  }
  // Text after the last newline is an incomplete line.
}
