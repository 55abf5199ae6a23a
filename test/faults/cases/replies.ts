import { expect } from 'vitest'
import type { Fault } from '../../../simulator/faults.ts'
import type { FaultCase } from '../fault-case.ts'
import { everyCall, expectRenewed, missingRefresh } from './every-call.ts'

/** A right answer in an unusual form, which the operator parses. */
function parsed(name: string, fault: Fault): FaultCase {
  return everyCall(name, fault, '', {
    expected: 'no condition changes: the operator parses the answer',
    during: expectRenewed,
  })
}

/** The JSON of another server than the token service: the message has its number and none of its words. */
function foreign(json: Readonly<Record<string, string | number>>, seen: string, status = 200): FaultCase {
  const base = everyCall(
    `the gateway answers ${JSON.stringify(json)}${status === 200 ? '' : ` with HTTP ${status}`}`,
    { kind: 'json', json, status },
    'UnexpectedReply',
  )
  return {
    ...base,
    during: async (world) => {
      await base.during?.(world)
      const message = await world.harness.message(world.namespace, 'first', 'RenewalHealthy')
      expect(message).toContain(seen)
      expect(message).not.toContain('Route')
    },
  }
}

function refusedRefresh(status: number): FaultCase {
  const fault: Fault = { kind: 'status', status }
  return everyCall(`the gateway refuses refreshes with ${status} after a get that works`, fault, 'GatewayError', {
    expected: 'RenewalHealthy False, GatewayError: the keys are not at fault; Ready stays; renewed when the fault ends',
    begin: (world) => world.gateway.setFaults([{ operation: 'refresh', fault }]),
  })
}

const noProlong = everyCall(
  'the gateway answers refreshes without prolonging the token',
  { kind: 'noProlong' },
  'UnexpectedReply',
  {
    mayRefreshAgain: true,
    after: ({ gateway }) => {
      // Two applications for three seconds, with backoff.
      const refreshes = gateway.calls.filter(({ fault, operation }) => fault !== undefined && operation === 'refresh')
      expect(refreshes.length).toBeLessThanOrEqual(12)
    },
  },
)

export const replyFaults: readonly FaultCase[] = [
  parsed('the gateway answers gzip unasked', { kind: 'compress', encoding: 'gzip' }),
  parsed('the gateway answers deflate unasked', { kind: 'compress', encoding: 'deflate' }),
  parsed('the gateway answers JSON after a byte-order mark', { kind: 'byteOrderMark' }),
  parsed('the gateway answers status and expire as strings', { kind: 'strings' }),
  parsed('the gateway answers in HTTP/1.0', { kind: 'http10' }),
  everyCall(
    'the gateway answers gzip of 1 MB',
    { kind: 'compress', encoding: 'gzip', bytes: 1024 * 1024 },
    'UnexpectedReply',
  ),
  everyCall('the gateway answers 100 Continue unasked', { kind: 'continue' }, 'UnexpectedReply'),
  everyCall('the gateway is an SSH server', { kind: 'notHttp' }, 'UnexpectedReply'),
  foreign({ code: 99401 }, '99401'),
  foreign({ apim_status: 4011 }, '4011'),
  foreign({ status: 404 }, '404'),
  foreign({ message: 'no Route matched' }, 'HTTP 404', 404),
  ...[1002, 1003, 1004, 1202].map(refusedRefresh),
  missingRefresh('http405', '405'),
  missingRefresh('status404', 'status 404 with HTTP 200'),
  noProlong,
]
