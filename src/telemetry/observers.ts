import type { TokenClientObserver } from '../enos/token-client.ts'
import type { ApiAnswer } from '../kubernetes/transport.ts'
import type { Log } from '../lib/log.ts'
import type { Metrics } from './metrics.ts'

/** Counts each answer of the API server, and logs it at level debug: never a header or a body. */
export function apiObserver(metrics: Pick<Metrics, 'onApiAnswer'>, log: Log): (answer: ApiAnswer) => void {
  return (answer) => {
    metrics.onApiAnswer(answer)
    const { call, code, durationMs, host } = answer
    log.debug({ request: call, host, code, durationMs: Math.round(durationMs) }, 'API server answered')
  }
}

/** The same for answers of gateways. */
export function gatewayObserver({ gateways }: Pick<Metrics, 'gateways'>, log: Log): TokenClientObserver {
  return {
    onCall: (host, operation, code, durationMs) => {
      gateways.onCall(host, operation, code, durationMs)
      log.debug({ host, operation, code, durationMs: Math.round(durationMs) }, 'gateway answered')
    },
    onClockSkew: (host, skewMs) => {
      gateways.onClockSkew(host, skewMs)
    },
  }
}
