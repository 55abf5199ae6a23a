// Reports every token that this pod sees, for the tests: one line of JSON with the fingerprint. With TOKEN in the
// environment once, else of the file accessToken in TOKEN_DIRECTORY, looked at every 20 ms.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

let last
function report(token) {
  if (token === last) return
  last = token
  const fingerprint = createHash('sha256').update(token).digest('hex').slice(0, 12)
  console.log(JSON.stringify({ fingerprint }))
}

process.once('SIGTERM', () => process.exit(0))
if (process.env.TOKEN !== undefined) report(process.env.TOKEN)
setInterval(() => {
  if (process.env.TOKEN === undefined) report(readFileSync(`${process.env.TOKEN_DIRECTORY}/accessToken`, 'utf8'))
}, 20)
