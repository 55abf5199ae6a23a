import { parseProxyConfig } from '../config/proxy.ts'
import { refreshFailureAfterGet } from '../enos/failure.ts'
import { GatewayDispatchers } from '../enos/gateway-dispatchers.ts'
import { Timestamps } from '../enos/timestamps.ts'
import { type CallResult, type GetRequest, TokenClient } from '../enos/token-client.ts'
import { watchCertificate } from './certificate.ts'
import type { Seen } from './check-report.ts'
import type { CommandContext } from './context.ts'
import { userAgent } from './options.ts'
import { waitingFor, withProgress } from './progress.ts'

/** The gateway and the credential to check. */
export type CheckRequest = Omit<GetRequest, 'operation'>

/** Calls the gateway as the operator does: get, then refresh if get worked and refresh is wanted. */
export async function askGateway(
  context: CommandContext,
  request: CheckRequest,
  isRefreshWanted: boolean,
): Promise<Seen> {
  return await withProgress(context, waitingFor.gateway, () => call(context, request, isRefreshWanted))
}

async function call(
  { clock, environment, signal }: CommandContext,
  request: CheckRequest,
  isRefreshWanted: boolean,
): Promise<Seen> {
  const { appKey, appSecret, gatewayUrl } = request
  const dispatchers = new GatewayDispatchers({ proxy: parseProxyConfig(environment) })
  let skewMs: number | undefined
  const client = new TokenClient({
    dispatchers,
    clock,
    timestamps: new Timestamps(clock),
    observer: {
      onCall: () => {
        // No metrics in a command.
      },
      onClockSkew: (_, ms) => {
        skewMs = ms
      },
    },
    userAgent,
  })
  try {
    const { certificate, result: get } = await watchCertificate(gatewayUrl, () => {
      return client.call({ ...request, operation: 'get' }, signal)
    })
    const isRefreshTried = isRefreshWanted && get.kind === 'token'
    const refresh = isRefreshTried
      ? afterGet(await client.call({ ...request, operation: 'refresh', token: get.token }, signal))
      : undefined
    return { gatewayUrl, appKey, appSecret, get, refresh, isRefreshWanted, skewMs, certificate, now: clock.wall() }
  } finally {
    await dispatchers.close()
  }
}

/** A refusal of the keys after a get that worked is no fault of the keys. */
function afterGet(refresh: CallResult): CallResult {
  return refresh.kind === 'failed' ? { ...refresh, failure: refreshFailureAfterGet(refresh.failure) } : refresh
}
