import { z } from 'zod'
import { parseDuration } from '../../lib/duration.ts'
import { matching, rule } from './cel-rules.ts'
import { dataKeySchema, durationPattern, durationSchema, objectNameSchema } from './field-schemas.ts'
import { headersSchema } from './headers-schema.ts'

/**
 * Under 100ms is too short for any gateway, and is usually `ms` typed for `s`. CEL reports an error of its own for
 * durations beyond its range, so the digits are limited first: six are too many in any unit.
 */
const callTimeout = rule(
  durationSchema,
  'must be from 100ms to 1m (default: 10s)',
  "self.matches('^(0*[0-9]{1,5}(ms|s|m|h))+$') && duration(self) >= duration('100ms') && duration(self) <= duration('1m')",
  // A text that is no duration has an issue of its own.
  (text) => !durationPattern.test(text) || (parseDuration(text) >= 100 && parseDuration(text) <= 60_000),
)

/** Scheme, host, optional port, optional path; no userinfo, query, fragment or white space. */
const gatewayUrl =
  /^https?:\/\/(?:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)*|\[[0-9a-fA-F:.]{2,45}\])(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(?:\/[-A-Za-z0-9._~%!$&'()*+,;=:@/]*)?$/

const url = matching(
  z.string().max(1024),
  gatewayUrl,
  'expected http(s)://host in lower case, with optional port and base path, and without userinfo, query and fragment',
)
  // CEL cannot parse addresses: https://[::::] and https://1.2.3.4.5 match the pattern.
  .refine((text) => !gatewayUrl.test(text) || URL.canParse(text), 'the host is not a valid name or IP address')

const caRef = z.object({
  kind: z.enum(['Secret', 'ConfigMap']).describe('Kind of the object: Secret or ConfigMap.'),
  name: objectNameSchema.describe('Name of the object, in the namespace of this resource.'),
  key: dataKeySchema
    .default('ca.crt')
    .describe('Key in the object: letters, digits, -, _ and ., at most 253 characters. Default: ca.crt.'),
})

/** As the last label is not all digits, an IPv4 address is none: TLS knows no server name that is an address. */
const tlsServerName = rule(
  objectNameSchema,
  'expected a DNS name, not an IP address',
  "!self.matches('(^|[.])[0-9]+$')",
  (name) => !/(?:^|\.)[0-9]+$/.test(name),
)

export const gatewaySchema = rule(
  z
    .object({
      url: url.describe(
        'Base URL of the gateway: http(s)://host in lower case, with optional port and base path, at most 1024 characters. Userinfo, query and fragment are refused. Example: https://apim.example.com.',
      ),
      allowInsecureHTTP: z
        .boolean()
        .default(false)
        .describe(
          'Allows an http:// URL, as EnOS Edge needs it. The appKey and the token then travel unencrypted. Default: false.',
        ),
      caRef: caRef
        .optional()
        .describe("CA certificates (PEM) to trust for this gateway, in addition to the system's CAs. Default: none."),
      tlsServerName: tlsServerName
        .optional()
        .describe(
          'Server name to request by SNI and to expect in the certificate of the gateway, at most 253 characters, where url has an IP address or another name. Default: the host of url.',
        ),
      headersFrom: headersSchema
        .optional()
        .describe(
          'HTTP headers for every call to the gateway, at most 8, each name once in any case: credentials for an API gateway or proxy in front of it. A call carries only the headers of resources with the same appSecret, CA and tlsServerName. Default: none.',
        ),
      timeout: callTimeout
        .default('10s')
        .describe(
          'Maximum time for one call, from connecting (at most 10s of it) to the end of the reply: 100ms to 1m. Default: 10s. Each call of a renewal (a get, usually followed by a refresh) has this time. It is shorter where the token is about to expire: a third of the time left, but at least 1s. Resources that share an application, appSecret, CA and tlsServerName use the longest timeout among them.',
        ),
    })
    .describe('EnOS API gateway that issues the token.'),
  'http:// requires allowInsecureHTTP: true',
  "self.allowInsecureHTTP || !self.url.startsWith('http://')",
  // A text that is no URL of a gateway has an issue of its own.
  (value) => value.allowInsecureHTTP || !value.url.startsWith('http://'),
)
