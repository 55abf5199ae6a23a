import { afterEach, describe, expect, it } from 'vitest'
import { withProgress } from '../../../src/commands/progress.ts'
import { sleep } from '../../../src/lib/clock.ts'
import { now } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { CommandWorld } from './command-world.ts'

const world = new CommandWorld()
afterEach(() => world.close())

describe('withProgress', () => {
  it('says after a second what is waited for, counts, and clears its line', async () => {
    const clock = new FakeClock(now)
    const lines: string[] = []
    const context = { clock, statusLine: (text: string) => void lines.push(text) }
    const work = withProgress(context, 'waiting for the gateway', () => sleep(clock, 3500))
    await clock.advance(999)
    expect(lines).toEqual([])
    await clock.advance(2600)
    await work
    const shown = ['1s', '2s', '3s'].map((time) => `waiting for the gateway (${time})`)
    expect(lines).toEqual([...shown, ''])
    await clock.advance(5000)
    expect(lines).toHaveLength(4)
  })

  it('says nothing of what is done within a second, and passes its result on', async () => {
    const lines: string[] = []
    const context = { clock: new FakeClock(now), statusLine: (text: string) => void lines.push(text) }
    expect(await withProgress(context, 'waiting', () => Promise.resolve(7))).toBe(7)
    expect(lines).toEqual([])
  })

  it('clears its line when the work fails', async () => {
    const clock = new FakeClock(now)
    const lines: string[] = []
    const context = { clock, statusLine: (text: string) => void lines.push(text) }
    const work = withProgress(context, 'waiting', async () => {
      await sleep(clock, 1500)
      throw new Error('refused')
    })
    const failed = expect(work).rejects.toThrow('refused')
    await clock.advance(2000)
    await failed
    expect(lines).toEqual(['waiting (1s)', ''])
  })
})

describe('the progress of a command', () => {
  it.each([
    [['check', '--gateway', 'URL', '--timeout', '3s', '--allow-insecure-http'], 'waiting for the gateway (1s)'],
    [['status', '--kubeconfig', 'FILE'], 'waiting for the API server (1s)'],
    [['status', 'wind-farm', '--kubeconfig', 'FILE'], 'waiting for the API server (1s)'],
    [['renew', 'wind-farm', '--kubeconfig', 'FILE'], 'waiting for the API server (1s)'],
    [['check', 'wind-farm', '--kubeconfig', 'FILE'], 'waiting for the API server (1s)'],
  ])('of %j is on the terminal while no answer comes', async (argv, line) => {
    const never = await world.stub('http', () => undefined)
    const file = await world.kubeconfig(never)
    const progress: string[] = []
    await world.run(
      argv.map((one) => one.replace('URL', never).replace('FILE', file)),
      {
        environment: { ENOS_APP_KEY: 'key', ENOS_APP_SECRET: 'secret' },
        statusLine: (text) => void progress.push(text),
        isWaiting: true,
      },
    )
    expect(progress[0]).toBe(line)
    expect(progress.at(-1)).toBe('')
  })
})
