import { request } from 'node:https'
import { TLSSocket } from 'node:tls'

export interface TlsScrape {
  /** Common name of the certificate that was served. */
  readonly subject: string
  readonly body: string
}

/** Gets /metrics by a connection of its own. @param trusted the only certificate that is trusted, PEM */
export async function scrapeTls(
  port: number,
  trusted: string,
  { readAfter }: { readonly readAfter?: Promise<void> } = {},
): Promise<TlsScrape> {
  return await new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/metrics', ca: trusted, agent: false, timeout: 20_000 }
    const sent = request(options, (response) => {
      const { socket } = response
      const subject = socket instanceof TLSSocket ? String(socket.getPeerCertificate().subject.CN) : ''
      let body = ''
      const read = (): void => {
        response.setEncoding('utf8').on('data', (text: string) => (body += text))
        response.once('end', () => resolve({ subject, body }))
      }
      response.once('error', reject)
      if (readAfter === undefined) read()
      else void readAfter.then(read)
    })
    sent.once('error', reject)
    sent.once('timeout', () => sent.destroy(new Error('no answer in 20 s')))
    sent.end()
  })
}
