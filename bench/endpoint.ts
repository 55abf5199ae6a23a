import { ApiServerAuth } from '../src/kubernetes/auth.ts'
import { chooseKubeconfig } from '../src/kubernetes/kubeconfig.ts'
import { SystemClock } from '../src/lib/clock.ts'
import type { Endpoint } from './api.ts'

/** The API server of a kubeconfig. */
export async function loadEndpoint(kubeconfig: string): Promise<Endpoint> {
  const { load } = chooseKubeconfig({ environment: { KUBECONFIG: kubeconfig } })
  const { headers, server, tls } = await new ApiServerAuth(load, new SystemClock()).current()
  const { ca, cert, key } = tls
  return {
    origin: new URL(server).origin,
    // Only an impersonation of several groups repeats a header.
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])),
    tls: {
      ...(ca === undefined ? {} : { ca: ca.toString() }),
      ...(cert === undefined ? {} : { cert: cert.toString() }),
      ...(key === undefined ? {} : { key: key.toString() }),
    },
  }
}
