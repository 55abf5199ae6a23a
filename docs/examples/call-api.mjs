// Calls an API behind the EnOS gateway, in the three ways in which a token can be shown. Node.js 24, no packages.
//
//   node call-api.mjs URL [SECONDS]
//
// One call in each way, then again every SECONDS; without SECONDS once. TOKEN_DIRECTORY is where the pod mounts the
// target Secret, with the keys accessToken and, for signed calls, appSecret.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const directory = process.env.TOKEN_DIRECTORY ?? '/var/run/enos'

/** Read for every call, never kept: the kubelet replaces the files after a renewal. */
async function read(key) {
  return await readFile(join(directory, key), 'utf8')
}

/** Most APIs: the signature proves the appSecret without sending it. */
async function callSigned(url, { body = '', method = 'GET' } = {}) {
  const [accessToken, appSecret] = [await read('accessToken'), await read('appSecret')]
  const timestamp = String(Date.now())
  const query = new URL(url).searchParams
  query.sort()
  const parameters = [...query].flat().join('')
  const signature = createHash('sha256').update(accessToken + parameters + body + timestamp + appSecret)
  return await fetch(url, {
    method,
    ...(body === '' ? {} : { body }),
    headers: {
      'apim-accesstoken': accessToken,
      'apim-timestamp': timestamp,
      'apim-signature': signature.digest('hex'),
    },
  })
}

/** HTTP integration and file APIs. */
async function callWithToken(url) {
  return await fetch(url, { headers: { 'apim-accesstoken': await read('accessToken') } })
}

/** Data federation and streaming. */
async function callWithBearer(url) {
  return await fetch(url, { headers: { authorization: `Bearer ${await read('accessToken')}` } })
}

const [url, seconds] = process.argv.slice(2)
if (url === undefined) {
  console.error('usage: node call-api.mjs URL [SECONDS]')
  process.exit(2)
}
process.once('SIGTERM', () => process.exit(0))
do {
  for (const [way, response] of [
    ['signed', await callSigned(url)],
    ['signed, with a body', await callSigned(url, { method: 'POST', body: JSON.stringify({ power: 3.2 }) })],
    ['apim-accesstoken', await callWithToken(url)],
    ['bearer', await callWithBearer(url)],
  ]) {
    console.log(`${way}: ${response.status}`)
    if (!response.ok) console.error(`${way}: ${await response.text()}`)
    else await response.body?.cancel()
  }
  if (seconds !== undefined) await delay(Number(seconds) * 1000)
} while (seconds !== undefined)
