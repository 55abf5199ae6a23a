import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { marker } from '../../support/builders.ts'
import { runToEnd } from '../../support/run.ts'
import { CommandWorld } from './command-world.ts'

const main = join(import.meta.dirname, '../../../src/main.ts')
const world = new CommandWorld()
afterEach(() => world.close())

describe('a misspelled variable', () => {
  it('is warned of in the log of run, without its value, though the operator cannot start', async () => {
    const env = { ENOS_KUBECONFG: marker.appSecret, ENOS_TOKEN: marker.token, ENOS_OPERATOR_SERVICE_HOST: '10.0.0.1' }
    const { code, stderr, stdout } = await runToEnd(process.execPath, [main, 'run', '--kubeconfig', '/nowhere'], {
      env,
    })
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toEqual({
      level: 'warn',
      time: expect.any(String) as string,
      variable: 'ENOS_KUBECONFG',
      nearest: 'ENOS_KUBECONFIG',
      msg: 'unknown environment variable is ignored',
    })
    expect(stdout + stderr).not.toContain('marker-')
  })

  it.each([
    [['status'], 'ENOS_CONTEX', 'ENOS_CONTEXT'],
    [['renew', 'wind-farm'], 'ENOS_KUBE_CONFIG', 'ENOS_KUBECONFIG'],
    [['check', 'wind-farm'], 'ENOS_CONTEX', 'ENOS_CONTEXT'],
    [['check', '--gateway', 'https://127.0.0.1:1'], 'ENOS_APP_KYE', 'ENOS_APP_KEY'],
  ])('is warned of by %j in one line of standard error, without its value', async (argv, variable, nearest) => {
    const environment = { [variable]: marker.appSecret, ENOS_LOG_LEVLE: 'debug', ENOS_API_URL: 'https://marker-url' }
    const output = await world.run(argv, { environment })
    const line = `enos-credential-operator: the environment variable ${variable} is unknown, did you mean ${nearest}?`
    expect(output.split('\n').filter((each) => each.includes('did you mean'))).toEqual([line])
    expect(output).not.toContain('marker-')
  })

  it('is not warned of by check of a resource where only --gateway would read the known one', async () => {
    const output = await world.run(['check', 'wind-farm'], { environment: { ENOS_API_KEY: marker.appKey } })
    expect(output).not.toContain('did you mean')
  })
})
