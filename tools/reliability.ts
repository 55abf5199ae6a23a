import type { Row } from '../test/faults/fault-case.ts'

export type { Row }

const head = `# Reliability

Made by \`make reliability\`: a real kube-apiserver and etcd, the operator as a process of its own with the rights of the shipped manifests, the simulated gateway, tokens of 12 s or little more, and a referee that looks at every target ten times a second and asks the gateway itself whether its token is good. Every fault is played by \`make test\` too, which fails where one of the middle columns is not zero; \`make soak\` plays a thousand at random.

Each fault strikes as a renewal begins and lasts 3 s where nothing else is said; half of a token's life before its end is the window in which it is renewed. A fault that outlasts the window, or kills a token, is marked *: there the promise is a quick recovery, not zero.

- **expired**: seconds in which any target held a token that the gateway does not take.
- **lost**: Secrets that were lost, or touched though they are somebody else's.
- **duplicate**: refreshes of one application that came without need.
- **secrets**: secrets in logs, events, statuses and metrics.
- **recovery**: seconds from the end of the fault until all targets hold a good token and every resource says so.
`

/** docs/reliability.md, of the rows of one run. */
export function renderReliability(rows: readonly Row[]): string {
  const groups = [...new Set(rows.map(({ group }) => group))]
  const order = ['The gateway', 'The API server', 'The control plane', 'The operator', 'Objects', 'Many resources']
  groups.sort((a, b) => order.indexOf(a) - order.indexOf(b))
  return [
    head,
    ...groups.map((group) =>
      table(
        group,
        rows.filter((row) => row.group === group),
      ),
    ),
  ].join('\n')
}

function table(group: string, rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    `${row.name}${row.mayExpire ? ' *' : ''}`,
    row.expected,
    row.expiredSeconds.toFixed(1).replace(/^0\.0$/, '0'),
    String(row.lostOrTouched),
    String(row.duplicateRefreshes),
    String(row.secretsSeen),
    row.recoverySeconds.toFixed(1),
  ])
  const columns = [group, 'expected', 'expired', 'lost', 'duplicate', 'secrets', 'recovery']
  const lines = [columns, columns.map((_, at) => (at < 2 ? '---' : '--:')), ...cells]
  return `## ${group}\n\n${lines.map((line) => `| ${line.join(' | ')} |`).join('\n')}\n`
}
