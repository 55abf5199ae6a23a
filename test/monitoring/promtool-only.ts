/** Alerts that no fault brings about within minutes on a real Prometheus, and why; promtool alone proves them. */
export const promtoolOnly: Readonly<Record<string, string>> = {
  EnosOperatorTwoLeaders: 'leader election prevents it',
  EnosOperatorQueueStuck: 'a queue that makes no progress is a fault of the operator that is not known',
  EnosOperatorRenewalsLate: 'the process would need less CPU than a test machine can take from it',
  EnosOperatorEventLoopLag: 'the process would need less CPU than a test machine can take from it',
  EnosOperatorLogLinesDropped: 'the tests read the standard output that would have to be blocked',
  EnosOperatorVersionSkew: 'it needs a second version of the operator',
}
