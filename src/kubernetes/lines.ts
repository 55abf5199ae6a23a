/** No object of Kubernetes is larger: etcd takes 1.5 MiB, and a Secret's data grows by a third in base64. */
const maxLineLength = 8 * 1024 * 1024

/** The non-empty lines of a stream of UTF-8, however it is cut into chunks. */
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
  // What follows the last newline was cut off in the middle.
}
