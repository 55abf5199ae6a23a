import { z } from 'zod'
import { rule } from './cel-rules.ts'
import { objectNameSchema, positiveDurationSchema, secretKeyRefSchema } from './field-schemas.ts'
import { gatewaySchema } from './gateway-schema.ts'
import { targetsSchema } from './target-schema.ts'

/**
 * The single source of the resource: tools/generate.ts makes the CRD in crds/ from these schemas, and the operator reads
 * resources with them. A rule that JSON schema cannot express has a CEL form beside it (`rule`), so that both agree.
 * Descriptions are the text of `kubectl explain` and of docs/reference: plain, with units, bounds and defaults.
 */

const restartOnRenewalSchema = z
  .array(
    z.object({
      kind: z
        .enum(['Deployment', 'StatefulSet', 'DaemonSet'])
        .describe('Kind of the workload: Deployment, StatefulSet or DaemonSet.'),
      name: objectNameSchema.describe('Name of the workload, in the namespace of this resource.'),
    }),
  )
  .max(16)
  .optional()
  .describe(
    'Workloads to restart after each new token because their pods read it from environment variables, at most 16. Other changes of a target (a template, the appSecret, the expiry of a token that was only prolonged) restart nothing. Needs the permissions of deploy/components/consumers. Default: none.',
  )
  .meta({ 'x-kubernetes-list-type': 'atomic' })

export const specSchema = rule(
  z
    .object({
      gateway: gatewaySchema,
      appKeyRef: secretKeyRefSchema('appKey', "Secret key that holds the application's access key (appKey)."),
      appSecretRef: secretKeyRefSchema('appSecret', "Secret key that holds the application's secret key (appSecret)."),
      renewBefore: positiveDurationSchema
        .optional()
        .describe(
          'How long before expiry the token is renewed, a duration like 20m, more than 0. More than half of the lifetime is reduced to half, with a warning event. Default: 20 % of the lifetime, but at least 10m and at most half of the lifetime (24m for a token of 2 hours). Jitter of at most 5 % of the lifetime, fixed for the application, makes the renewal earlier, never later.',
        ),
      renewalMethod: z
        .enum(['Auto', 'Refresh', 'Get'])
        .default('Auto')
        .describe(
          'Refresh: the token is refreshed before it expires. Get: a new token is fetched when the old one expires, for gateways without refresh. Auto: Refresh if the gateway supports it, else Get. Default: Auto.',
        ),
      verifyEvery: positiveDurationSchema
        .optional()
        .describe(
          'How often the operator asks the gateway whether the token is still the current one, a duration like 10m. This finds a token that was revoked or replaced. Less than 10s counts as 10s. Default: never.',
        ),
      targets: targetsSchema,
      propagation: z
        .enum(['Kubelet', 'Immediate'])
        .default('Kubelet')
        .describe(
          "Kubelet: running pods see a new token at the kubelet's next sync, after about a minute. Immediate: the operator annotates the pods that mount a target, so that they see it within about a second; this needs the permissions of deploy/components/consumers. Other changes of a target (a template, the appSecret, the expiry of a token that was only prolonged) reach pods at the kubelet's next sync. Default: Kubelet.",
        ),
      restartOnRenewal: restartOnRenewalSchema,
      suspend: z
        .boolean()
        .default(false)
        .describe(
          'Stops all calls to the gateway and all writes to targets. Targets keep their data; Ready becomes False when the token expires. Default: false.',
        ),
    })
    .describe('Desired state: the application, its gateway, and the Secrets that hold its token.'),
  'a target must not be a source Secret (appKeyRef, appSecretRef, headersFrom), unless its creationPolicy is Merge',
  "self.targets.all(target, (has(target.creationPolicy) && target.creationPolicy == 'Merge') || (target.name != self.appKeyRef.name && target.name != self.appSecretRef.name && (!has(self.gateway.headersFrom) || self.gateway.headersFrom.all(header, header.secretKeyRef.name != target.name))))",
  ({ appKeyRef, appSecretRef, gateway, targets }) => {
    const headerRefs = (gateway.headersFrom ?? []).map(({ secretKeyRef }) => secretKeyRef)
    const sources = new Set([appKeyRef, appSecretRef, ...headerRefs].map(({ name }) => name))
    return targets.every(({ creationPolicy, name }) => creationPolicy === 'Merge' || !sources.has(name))
  },
)

export type CredentialSpec = z.output<typeof specSchema>

/** A label value has at most 63 characters, and targets carry the name of the resource as a label. */
export const maxNameLength = 63
