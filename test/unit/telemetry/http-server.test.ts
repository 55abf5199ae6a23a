import { describe, expect, it, onTestFinished } from 'vitest'
import { type Routes, startHttpServer } from '../../../src/telemetry/http-server.ts'
import { readableLog } from '../enos/support.ts'

async function setUp(routes: Routes) {
  const { lines, log } = readableLog()
  const server = await startHttpServer({ address: { host: '127.0.0.1', port: 0 }, routes, log })
  onTestFinished(() => server.close())
  const get = async (path: string, method = 'GET'): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method })
    return `${response.status} ${await response.text()}`
  }
  return { get, logged: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) }
}

describe('HTTP server', () => {
  it('answers GET and HEAD on its routes, whatever the query, and 404 elsewhere', async () => {
    const { get, logged } = await setUp({ '/metrics': () => ({ status: 200, body: 'up 1\n' }) })
    expect(await get('/metrics?name[]=up')).toBe('200 up 1\n')
    expect(await get('/metrics', 'HEAD')).toBe('200 ')
    expect(await get('/metrics', 'POST')).toBe('404 not found\n')
    expect(await get('/other')).toBe('404 not found\n')
    expect(logged()).toEqual([])
  })

  it('answers 500 without the error when a route throws, and logs route and error', async () => {
    const { get, logged } = await setUp({ '/metrics': () => Promise.reject(new TypeError('no such series')) })
    expect(await get('/metrics')).toBe('500 internal error\n')
    expect(logged()).toMatchObject([
      { level: 'error', msg: 'route failed', route: '/metrics', err: { type: 'TypeError', message: 'no such series' } },
    ])
  })

  it('logs a failing route once, not at each request, and again after it has worked or failed otherwise', async () => {
    let failure: Error | undefined = new Error('first')
    const { get, logged } = await setUp({
      '/metrics': () => {
        if (failure !== undefined) throw failure
        return { status: 200, body: '' }
      },
    })
    const messages = (): unknown[] => logged().map(({ err }) => (err as Error).message)
    for (let i = 0; i < 3; i++) expect(await get('/metrics')).toBe('500 internal error\n')
    expect(messages()).toEqual(['first'])
    failure = new Error('second')
    await get('/metrics')
    failure = undefined
    expect(await get('/metrics')).toBe('200 ')
    failure = new Error('second')
    await get('/metrics')
    expect(messages()).toEqual(['first', 'second', 'second'])
  })
})
