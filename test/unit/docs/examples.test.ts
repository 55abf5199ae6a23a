import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startSimulator } from '../../../simulator/server.ts'
import { runToEnd } from '../../support/run.ts'

const examples = join(import.meta.dirname, '../../../docs/examples')
const programs = [
  { program: 'node', file: 'call-api.mjs' },
  { program: 'python3', file: 'call_api.py' },
]
const hasPython = await runToEnd('python3', ['--version']).then(
  () => true,
  () => false,
)

/** A simulator, and a folder as the pod mounts the target Secret. */
async function mountedToken(): Promise<{ gateway: Awaited<ReturnType<typeof startSimulator>>; directory: string }> {
  const gateway = await startSimulator({ applications: [{ appKey: 'key', appSecret: 'secret' }] })
  onTestFinished(() => gateway.close())
  const timestamp = String(Date.now())
  const encryption = createHash('sha256').update(`key${timestamp}secret`).digest('hex')
  const response = await fetch(`${gateway.url}/apim-token-service/v2.0/token/get`, {
    method: 'POST',
    body: JSON.stringify({ appKey: 'key', timestamp, encryption }),
  })
  const { data } = (await response.json()) as { data: { accessToken: string } }
  const directory = await mkdtemp(join(tmpdir(), 'mounted-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  await writeFile(join(directory, 'accessToken'), data.accessToken)
  await writeFile(join(directory, 'appSecret'), 'secret')
  return { gateway, directory }
}

describe.for(programs)('the example docs/examples/$file', ({ file, program }) => {
  it.skipIf(program === 'python3' && !hasPython)('is accepted in each way that EnOS knows', async () => {
    const { directory, gateway } = await mountedToken()
    const env = { ...process.env, TOKEN_DIRECTORY: directory }
    const url = `${gateway.url}/readings?b=2&a=%C3%BC%20x&b=1&c=`
    const { code, stderr, stdout } = await runToEnd(program, [join(examples, file), url], { env })
    expect(stderr).toBe('')
    expect(stdout).toBe('signed: 200\nsigned, with a body: 200\napim-accesstoken: 200\nbearer: 200\n')
    expect(code).toBe(0)
    expect(gateway.consumerCalls.accepted).toEqual({ signature: 2, token: 1, bearer: 1 })
  })

  it.skipIf(program === 'python3' && !hasPython)('prints why a call was refused', async () => {
    const { directory, gateway } = await mountedToken()
    await writeFile(join(directory, 'appSecret'), 'another')
    const env = { ...process.env, TOKEN_DIRECTORY: directory }
    const { stderr, stdout } = await runToEnd(program, [join(examples, file), `${gateway.url}/readings`], { env })
    expect(stdout).toContain('signed: 401\nsigned, with a body: 401\napim-accesstoken: 200')
    expect(stderr).toContain('the header apim-signature is wrong')
    expect(stderr).not.toContain('another')
  })
})
