import { describe, expect, it } from 'vitest'
import { chooseCluster, type ClusterSource, skipReport } from '../../e2e/cluster.ts'

function source(name: string, reason?: string): ClusterSource {
  return {
    name,
    lacks: () => Promise.resolve(reason),
    start: () => Promise.reject(new Error('is not started here')),
  }
}

describe('chooseCluster', () => {
  it('takes the first source that can be had', async () => {
    const chosen = await chooseCluster([source('a', 'is not set'), source('b'), source('c')])
    expect('source' in chosen && chosen.source.name).toBe('b')
  })

  it('says of each source why it cannot be had, where none can', async () => {
    const chosen = await chooseCluster([source('kind', '`docker info` fails'), source('test/node', 'needs root')])
    expect(chosen).toEqual({ reasons: ['kind: `docker info` fails', 'test/node: needs root'] })
  })
})

describe('skipReport', () => {
  it('names the reasons, and counts the tests as skipped in its last line', () => {
    const lines = skipReport(['kind: `docker info` fails']).trimEnd().split('\n')
    expect(lines.at(-1)).toBe('0 passed, 0 failed, 1 skipped')
    expect(lines).toContain('!!!   kind: `docker info` fails')
  })
})
