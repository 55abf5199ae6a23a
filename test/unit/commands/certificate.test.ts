import { channel } from 'node:diagnostics_channel'
import { describe, expect, it } from 'vitest'
import { namesOf, watchCertificate } from '../../../src/commands/certificate.ts'

describe('namesOf', () => {
  it.each([
    ['DNS:a.example.com', ['a.example.com']],
    ['DNS:*.example.com, DNS:b.example.com, IP Address:10.0.0.1', ['*.example.com', 'b.example.com', '10.0.0.1']],
    ['IP Address:0:0:0:0:0:0:0:1', ['0:0:0:0:0:0:0:1']],
    ['URI:https://a.example.com, email:a@example.com', []],
    ['DNS:a\u001b[31m.example.com, DNS:b.example.com', ['b.example.com']],
    ['DNS:"a, DNS:hidden.example.com"', []],
    ['', []],
    [undefined, []],
    [['DNS:a'], []],
  ])('parses %j as %j', (text, names) => {
    expect(namesOf(text)).toEqual(names)
  })
})

describe('watchCertificate', () => {
  const refusedFor = (hostname: string, port: string): void => {
    const error = Object.assign(new Error('refused'), { cert: { subjectaltname: 'DNS:other.example.com' } })
    channel('undici:client:connectError').publish({ connectParams: { hostname, port }, error })
  }

  it('returns the certificate of the gateway’s host and port only', async () => {
    for (const [url, hostname, port, isSeen] of [
      ['https://a.example.com', 'a.example.com', '', true],
      ['https://a.example.com:8443/base', 'a.example.com', '8443', true],
      ['https://[::1]:8443', '::1', '8443', true],
      ['https://a.example.com', 'b.example.com', '', false],
      ['https://a.example.com', 'a.example.com', '3128', false],
    ] as const) {
      const { certificate, result } = await watchCertificate(url, async () => {
        refusedFor(hostname, port)
        return await Promise.resolve('done')
      })
      expect(result).toBe('done')
      expect(certificate, `${url} ${hostname}:${port}`).toEqual(isSeen ? { names: ['other.example.com'] } : undefined)
    }
  })

  it('ignores malformed diagnostics messages', async () => {
    const { certificate } = await watchCertificate('https://a.example.com', async () => {
      for (const message of [
        undefined,
        {},
        { connectParams: null },
        { connectParams: { hostname: 'a.example.com' } },
      ]) {
        channel('undici:client:connected').publish(message)
        channel('undici:client:connectError').publish(message)
      }
      await Promise.resolve()
    })
    expect(certificate).toBeUndefined()
  })

  it('unsubscribes when the work has failed', async () => {
    const failing = watchCertificate('https://a.example.com', () => Promise.reject(new Error('no')))
    expect(channel('undici:client:connected').hasSubscribers).toBe(true)
    await expect(failing).rejects.toThrow('no')
    expect(channel('undici:client:connected').hasSubscribers).toBe(false)
    expect(channel('undici:client:connectError').hasSubscribers).toBe(false)
  })
})
