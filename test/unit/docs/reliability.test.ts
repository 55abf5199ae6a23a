import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { renderReliability, type Row } from '../../../tools/reliability.ts'
import { apiServerFaults } from '../../faults/cases/api-server.ts'
import { controlPlaneFaults } from '../../faults/cases/control-plane.ts'
import { crowdFaults } from '../../faults/cases/crowd.ts'
import { gatewayFaults } from '../../faults/cases/gateway.ts'
import { networkFaults } from '../../faults/cases/network.ts'
import { objectFaults, spoiledTargets } from '../../faults/cases/objects.ts'
import { operatorFaults } from '../../faults/cases/operator.ts'
import { replyFaults } from '../../faults/cases/replies.ts'
import { writerFaults } from '../../faults/cases/writers.ts'

const page = await readFile(new URL('../../../docs/reliability.md', import.meta.url), 'utf8')
const catalogue = [
  ...gatewayFaults,
  ...networkFaults,
  ...replyFaults,
  ...apiServerFaults,
  ...controlPlaneFaults(() => {
    throw new Error('nothing is played here')
  }),
  ...operatorFaults,
  ...spoiledTargets,
  ...objectFaults,
  ...writerFaults,
  ...crowdFaults,
]

/** The cells of the rows, without the heads of the tables. */
function cells(text: string): string[][] {
  const lines = text.split('\n').filter((line) => line.startsWith('|'))
  const rows = lines.map((line) => line.split('|').slice(1, -1))
  return rows
    .map((row) => row.map((cell) => cell.trim()))
    .filter(([, second]) => second !== 'expected' && !/^-/.test(second ?? ''))
}

describe('docs/reliability.md', () => {
  it('has each fault of the catalogue, with what is expected, and no other', () => {
    const told = cells(page).map(([name = '', expected = '']) => `${name.replace(/ \*$/, '')}: ${expected}`)
    expect(told.sort()).toEqual(catalogue.map(({ expected, name }) => `${name}: ${expected}`).sort())
  })

  it('shows zeros where a fault is shorter than the window', () => {
    for (const [name = '', , expired, lost, duplicate, secrets] of cells(page)) {
      if (!name.endsWith('*')) expect(expired, name).toBe('0')
      expect([lost, duplicate, secrets], name).toEqual(['0', '0', '0'])
    }
  })

  it('tells of an expired token, were there one', () => {
    const row: Row = {
      group: 'The gateway',
      name: 'is bad',
      expected: 'nothing good',
      mayExpire: false,
      expiredSeconds: 1.26,
      lostOrTouched: 2,
      duplicateRefreshes: 3,
      secretsSeen: 4,
      recoverySeconds: 5,
    }
    expect(cells(renderReliability([row]))).toEqual([['is bad', 'nothing good', '1.3', '2', '3', '4', '5.0']])
  })
})
