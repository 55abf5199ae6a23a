import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { credentials, secrets } from '../../../src/kubernetes/types.ts'
import { marker } from '../../support/builders.ts'
import { CommandWorld } from './command-world.ts'

const environment = { ENOS_APP_KEY: marker.appKey, ENOS_APP_SECRET: marker.appSecret }
const headerValue = 'marker-header-value'
let world: CommandWorld

beforeEach(() => {
  world = new CommandWorld()
})

afterEach(async () => {
  await world.close()
})

/** A token service behind something that refuses calls without its header. */
function answer(response: ServerResponse): void {
  if (response.req.headers['x-key'] !== headerValue) response.writeHead(403).end()
  else response.end(JSON.stringify({ status: 0, data: { accessToken: marker.token, expire: 7200 } }))
}

describe('check --header-file', () => {
  const args = (url: string, ...files: string[]): string[] => [
    ...['check', '--gateway', url, '--allow-insecure-http'],
    ...files.flatMap((file) => ['--header-file', file]),
  ]

  it('sends the header with its value, from a file or standard input', async () => {
    const url = await world.stub('http', answer)
    const file = await world.file('key', `${headerValue}\n`)
    expect(await world.run(args(url), { environment })).toContain('HTTP 403')
    for (const output of [
      await world.run(args(url, `X-Key=${file}`), { environment }),
      await world.run(args(url, 'x-key=-'), { environment, stdin: headerValue }),
    ]) {
      expect(output).toContain('The credential works.')
      expect(output).not.toContain(headerValue)
    }
  })

  it.each([
    ['a value without a file', ['X-Key'], /--header-file: expected NAME=FILE/],
    ['a header of HTTP', ['Content-Length=DIR/key'], /--header-file: this header is reserved/],
    ['a name twice', ['X-Key=DIR/key', 'x-key=DIR/key'], /--header-file: names of headers must be unique/],
    ['a line break in the value', ['X-Key=DIR/lines'], /--header-file X-Key: expected at most 8192 printable ASCII/],
    ['a value that is too long', ['X-Key=DIR/long'], /--header-file X-Key: expected at most 8192 printable ASCII/],
    [
      'values that are too long together',
      ['X-A=DIR/half', 'X-B=DIR/half', 'X-C=DIR/half'],
      /--header-file: expected at most 16384 characters in all values together/,
    ],
    ['more than eight headers', Array.from({ length: 9 }, (_, at) => `X-${at}=DIR/key`), /--header-file: /],
    ['an empty file', ['X-Key=DIR/empty'], /--header-file is empty/],
    ['a missing file', ['X-Key=DIR/nothing'], /--header-file: cannot read the file \(ENOENT\)/],
  ])('refuses %s', async (_, files, message) => {
    const texts = {
      key: headerValue,
      lines: 'a\r\nX-Other: b',
      long: 'x'.repeat(8193),
      half: 'x'.repeat(8000),
      empty: '',
    }
    const paths = new Map<string, string>()
    for (const [name, text] of Object.entries(texts)) paths.set(name, await world.file(name, text))
    const given = files.map((file) =>
      file.replace(/DIR\/(\w+)/, (_match, name: string) => paths.get(name) ?? '/nowhere/nothing'),
    )
    const output = await world.run(args('http://127.0.0.1:1', ...given), { environment })
    expect(output).toMatch(message)
    expect(output).toMatch(/\[exit code 2\]/)
  })
})

describe('check of a resource with headersFrom', () => {
  it('sends the headers', async () => {
    const url = await world.stub('http', answer)
    const user = world.api.user('me')
    const stringData = { appKey: marker.appKey, appSecret: marker.appSecret, key: headerValue }
    user.create(secrets, 'plant-a', { metadata: { name: 'enos-app' }, stringData })
    const headersFrom = [{ name: 'X-Key', secretKeyRef: { name: 'enos-app', key: 'key' } }]
    user.create(credentials, 'plant-a', {
      metadata: { name: 'wind-farm' },
      spec: {
        gateway: { url, allowInsecureHTTP: true, headersFrom },
        appKeyRef: { name: 'enos-app' },
        appSecretRef: { name: 'enos-app' },
        targets: [{ name: 'enos-token' }],
      },
    })
    expect(await world.run(['check', 'wind-farm'])).toContain('The credential works.')
  })
})
