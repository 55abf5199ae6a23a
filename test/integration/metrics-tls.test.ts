import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Certificate, selfSigned } from '../support/certificate.ts'
import { scrapeTls } from '../support/scrape-tls.ts'
import { useCommands } from './command-line.ts'
import { delay, eventually, useHarness } from './harness.ts'

const harness = useHarness()
const command = useCommands()

describe('metrics over TLS', () => {
  let directory: string

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'metrics-tls-'))
  })

  afterAll(async () => {
    await rm(directory, { recursive: true })
  })

  /** As the kubelet does in the volume of a Secret. */
  async function publish(version: string, { cert, key }: Certificate): Promise<void> {
    await mkdir(join(directory, version))
    await writeFile(join(directory, version, 'tls.crt'), cert)
    await writeFile(join(directory, version, 'tls.key'), key)
    await symlink(version, join(directory, '..data_tmp'))
    await rename(join(directory, '..data_tmp'), join(directory, '..data'))
  }

  it('serves a rotated certificate within 15 s, and no scrape fails meanwhile', async () => {
    // Both are signed by one CA, as a scraper trusts it.
    const ca = selfSigned({ subject: 'ca', isCa: true })
    await publish('..1', selfSigned({ subject: 'first', issuer: ca }))
    const files = ['tls.crt', 'tls.key'].map((name) => join(directory, name))
    for (const file of files) await symlink(join('..data', file.slice(directory.length + 1)), file)
    const [cert = '', key = ''] = files
    const args = ['--no-leader-elect', '--metrics-tls-cert-file', cert, '--metrics-tls-key-file', key]
    const operator = await (await harness().operator({ args })).working()
    const port = operator.log().find(({ serves }) => serves === 'metrics')?.port ?? 0

    const subjects: string[] = []
    const scrape = async (): Promise<void> => {
      const { body, subject } = await scrapeTls(port, ca.cert)
      expect(body).toContain('enos_')
      subjects.push(subject)
    }
    await scrape()
    await publish('..2', selfSigned({ subject: 'second', issuer: ca }))
    const until = performance.now() + 15_000
    while (subjects.at(-1) !== 'second' && performance.now() < until) {
      await Promise.all([scrape(), scrape()])
      await delay(100)
    }
    expect(new Set(subjects)).toEqual(new Set(['first', 'second']))
    // Lines are written some 50 ms after their event.
    await eventually(() => expect(operator.log().map(({ msg }) => msg)).toContain('metrics certificate reloaded'))
  })

  it('ends with one line that names the file when a file is missing at the start', async () => {
    const files = ['--metrics-tls-cert-file', '/nowhere/tls.crt', '--metrics-tls-key-file', '/nowhere/tls.key']
    expect(await command(['run', ...files])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'enos-credential-operator: --metrics-tls-cert-file: /nowhere/tls.crt does not exist\n',
    })
  })
})
