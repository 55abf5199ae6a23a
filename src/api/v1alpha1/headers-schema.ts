import { z } from 'zod'
import { matching, rule } from './cel-rules.ts'
import { dataKeySchema, objectNameSchema } from './field-schemas.ts'

/** RFC 9110, token. */
const httpToken = /^[-!#$%&'*+.^_`|~0-9A-Za-z]+$/

/**
 * Headers that frame the message, belong to the connection or route the request, in lower case: a tenant could change
 * how the operator, a proxy or the gateway reads the call. HTTP clients drop `__proto__` silently.
 */
const refusedHeader =
  /^(?:host|connection|keep-alive|content-.*|transfer-encoding|te|trailer|upgrade|expect|http2-settings|proxy-.*|accept-encoding|via|forwarded|x-forwarded-.*|x-http-method-override|__proto__)$/

const headerName = rule(
  matching(
    z.string().min(1).max(128),
    httpToken,
    "expected the name of an HTTP header: letters, digits and !#$%&'*+-.^_`|~",
  ),
  'this header is reserved for the operator, HTTP or proxies',
  `!self.lowerAscii().matches('${refusedHeader.source}')`,
  (name) => !refusedHeader.test(name.toLowerCase()),
)

const headerSchema = z
  .object({
    name: headerName.describe(
      'Name of the header, at most 128 characters. Refused, in any case: Host, Connection, Keep-Alive, Content-*, Transfer-Encoding, TE, Trailer, Upgrade, Expect, HTTP2-Settings, Proxy-*, Accept-Encoding, Via, Forwarded, X-Forwarded-*, X-HTTP-Method-Override.',
    ),
    secretKeyRef: z
      .object({
        name: objectNameSchema.describe('Name of the Secret, in the namespace of this resource.'),
        key: dataKeySchema.describe('Key in the Secret: letters, digits, -, _ and ., at most 253 characters.'),
      })
      .describe(
        'Secret key that holds the value of the header: printable ASCII, at most 8 KiB, and at most 16 KiB for all headers together. Newlines at its end are removed.',
      ),
  })
  .describe('An HTTP header.')

export const headersSchema = rule(
  z
    .array(headerSchema)
    .max(8)
    .meta({
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
    }),
  'names of headers must be unique in any case',
  'self.all(a, self.exists_one(b, a.name.lowerAscii() == b.name.lowerAscii()))',
  (headers) => new Set(headers.map(({ name }) => name.toLowerCase())).size === headers.length,
)
