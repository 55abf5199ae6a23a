import { describe, expect, it } from 'vitest'
import { colourTheme, plainTheme, renderBar, renderScreen, type ScreenState } from '../../../demo/screen.ts'
import { Terminal } from '../../../demo/terminal.ts'

const state: ScreenState = {
  elapsedMs: 12_400,
  durationMs: 60_000,
  lifetimeMs: 30_000,
  renewalWindowMs: 15_000,
  targets: [
    {
      name: 'wind-farm-token',
      application: 'wind',
      lifeLeftMs: 15_000,
      renewals: 2,
      condition: { level: 'ready', text: 'Ready' },
    },
    {
      name: 'solar-farm-token',
      application: 'solar',
      lifeLeftMs: undefined,
      renewals: 0,
      condition: { level: 'notReady', text: 'not Ready: TokenExpired' },
    },
  ],
  applications: [{ name: 'wind', get: 3, refresh: 2 }],
  isGatewayOut: true,
  samples: 100,
  expired: 4,
  kubeconfig: '/somewhere/kubeconfig',
  table: 'NAME\nwind-farm\n',
  entries: [
    { atMs: 0, kind: 'info', text: 'all resources are Ready' },
    { atMs: 9000, kind: 'fault', text: 'wind-farm-token: overwritten by hand' },
    { atMs: 9025, kind: 'recovery', text: 'wind-farm-token: repaired' },
  ],
  totalEntries: 3,
}
const size = { columns: 80, rows: 40 }

describe('the screen of the demo', () => {
  it('shows remaining life, renewals, calls, conditions, the output of kubectl and the log', () => {
    expect(renderScreen(state, plainTheme, size).split('\n')).toEqual([
      'enos-credential-operator   12 s of 60 s   token lifetime 30 s, renewed with 15 s left',
      '',
      'SECRET            APP    TOKEN TIME LEFT      RENEWED  CONDITION',
      'wind-farm-token   wind   ######...... 15.0 s  2        Ready',
      'solar-farm-token  solar  NO VALID TOKEN       0        not Ready: TokenExpired',
      '',
      'Gateway  down; calls by app: wind: 3 get, 2 refresh',
      'Referee  100 samples, 4 of them expired',
      '',
      '$ export KUBECONFIG=/somewhere/kubeconfig',
      '$ kubectl get enosappcredentials -n plant-a',
      'NAME',
      'wind-farm',
      '',
      '   0.0 s   all resources are Ready',
      '   9.0 s ! wind-farm-token: overwritten by hand',
      '   9.0 s + wind-farm-token: repaired',
    ])
  })

  it('leaves out the oldest log entries that do not fit', () => {
    const lines = renderScreen(state, plainTheme, { columns: 80, rows: 15 }).split('\n')
    expect(lines).toHaveLength(15)
    expect(lines.at(-1)).toContain('repaired')
    expect(lines.join('\n')).not.toContain('all resources are Ready')
  })

  it('adds colours without changing the text', () => {
    const painted = renderScreen(state, { ...colourTheme, full: '#', empty: '.', marks: plainTheme.marks }, size)
    expect(painted.replace(/\x1b\[\d+m/g, '')).toBe(renderScreen(state, plainTheme, size))
    expect(painted).toContain('\x1b[31m4 of them expired\x1b[0m')
  })

  it.each([
    [-5, '..........'],
    [0, '..........'],
    [1, '#.........'],
    [15_000, '#####.....'],
    [30_000, '##########'],
    [99_000, '##########'],
  ])('draws a bar of ten for %d ms of 30 s', (leftMs, bar) => {
    expect(renderBar(leftMs, 30_000, plainTheme, 10)).toBe(bar)
  })
})

describe('the output without a terminal', () => {
  it('prints each log entry once, and the state every 10 s or when a condition changes', () => {
    const written: string[] = []
    const terminal = new Terminal({ write: (text) => written.push(text) }, true)
    const unready = state.targets.map((row) => ({ ...row, condition: { level: 'notReady', text: 'Unknown' } as const }))
    for (const elapsedMs of [0, 500, 9500, 10_000, 13_000]) terminal.draw({ ...state, elapsedMs })
    terminal.draw({ ...state, elapsedMs: 13_500, targets: unready })
    const text = written.join('')
    expect(text.match(/overwritten by hand/g)).toHaveLength(1)
    expect([...text.matchAll(/operator {3}(\d+) s/g)].map(([, at]) => at)).toEqual(['0', '10', '14'])
    expect(text).not.toContain('\x1b')
  })

  it('prints new log entries after old ones were removed', () => {
    const written: string[] = []
    const terminal = new Terminal({ write: (text) => written.push(text) }, false)
    const entry = (text: string) => ({ atMs: 0, kind: 'info', text }) as const
    terminal.draw({ ...state, entries: [entry('first'), entry('second')], totalEntries: 2 })
    terminal.draw({ ...state, entries: [entry('second'), entry('third')], totalEntries: 3 })
    expect(written.join('').match(/first|second|third/g)).toEqual(['first', 'second', 'third'])
  })
})

describe('the output on a terminal', () => {
  it('leaves the alternate screen once', () => {
    const written: string[] = []
    const terminal = new Terminal({ isTTY: true, columns: 0, rows: 0, write: (text) => written.push(text) }, true)
    terminal.draw(state)
    terminal.end()
    terminal.end()
    expect(written[0]).toContain('\x1b[?1049h')
    expect(written.filter((text) => text.includes('\x1b[?1049l'))).toHaveLength(1)
  })
})
