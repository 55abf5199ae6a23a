import { z } from 'zod'

/** What the status has room for; the annotation itself may be longer. */
export const maxRenewRequestLength = 1024

/** 16 names of 253 characters, with `, ` in between. */
const maxTargetNames = 16 * 255

const time = z.string().max(32)
const objectVersion = {
  name: z.string().max(253).describe('Name of the object.'),
  uid: z.string().max(64).describe('Its uid.'),
  resourceVersion: z.string().max(64).describe('Its resourceVersion.'),
}

const condition = z.object({
  type: z.string().min(1).max(316).describe('Ready, RenewalHealthy, Reconciling, Stalled or Propagated.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('True, False or Unknown.'),
  observedGeneration: z.number().int().min(0).optional().describe('The generation of the spec that this is about.'),
  lastTransitionTime: z.string().max(32).meta({ format: 'date-time' }).describe('When the status changed last.'),
  reason: z.string().max(1024).describe('One word that says why.'),
  message: z.string().max(32_768).describe('The same for people.'),
})

export const statusSchema = z
  .object({
    observedGeneration: z.number().int().optional().describe('The generation of the spec that this status is about.'),
    conditions: z
      .array(condition)
      .max(8)
      .default([])
      .describe(
        'Ready: every target holds a token that is valid now. RenewalHealthy: the last attempt to renew worked. Reconciling and Stalled: present when True. Propagated: consumers were told of the token (propagation Immediate, restartOnRenewal).',
      )
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] }),
    expiresAt: time.optional().describe('When the token on the targets expires (RFC 3339).'),
    issuedAt: time.optional().describe('When that token was first received.'),
    nextRenewalAt: time.optional().describe('When it is due for renewal.'),
    lastRenewalAt: time.optional().describe('When a new token was last received.'),
    lastRenewalMethod: z.enum(['get', 'refresh']).optional().describe('How it was had.'),
    consecutiveFailures: z
      .number()
      .int()
      .min(0)
      .optional()
      .describe('Failed attempts since the last that worked; written at most once a minute.'),
    tokenFingerprint: z.string().max(12).optional().describe('First 12 hex digits of the sha256 of the token.'),
    gateway: z.string().max(1024).optional().describe('The gateway that the token came from.'),
    appKeyFingerprint: z
      .string()
      .max(12)
      .optional()
      .describe(
        'Tells the appKey of the token from any other: 12 hex digits of a sha256 that the uid of the resource goes into. Who knows an appKey can tell that it is the one.',
      ),
    sources: z
      .array(
        z.object({
          ...objectVersion,
          keys: z
            .array(z.string().max(253))
            .max(3)
            .optional()
            .describe('The keys that were used.')
            .meta({ 'x-kubernetes-list-type': 'atomic' }),
        }),
      )
      .max(3)
      .default([])
      .describe('The source Secrets, and what caRef names, as they were used.')
      .meta({ 'x-kubernetes-list-type': 'atomic' }),
    targets: z
      .array(
        z.object({
          ...objectVersion,
          creationPolicy: z.enum(['Owner', 'Merge']).describe('As it was written.'),
          deletionPolicy: z.enum(['Delete', 'Retain']).describe('As it was written.'),
          keys: z
            .array(z.string().max(253))
            .max(64)
            .describe('The keys that were written.')
            .meta({ 'x-kubernetes-list-type': 'atomic' }),
        }),
      )
      .max(32)
      .default([])
      .describe('The targets as they were written.')
      .meta({ 'x-kubernetes-list-type': 'atomic' }),
    targetNames: z
      .string()
      .max(maxTargetNames)
      .optional()
      .describe('The names of the targets in the spec, for people: kubectl shows no list.'),
    propagatedFingerprint: z
      .string()
      .max(12)
      .optional()
      .describe('The token that running consumers were told of (propagation Immediate, restartOnRenewal).'),
    lastHandledRenewRequest: z
      .string()
      .max(maxRenewRequestLength)
      .optional()
      .describe('The last value of the annotation enos.io/renew-requested-at that was handled.'),
  })
  .describe('What the operator did and saw.')

export type CredentialStatus = z.output<typeof statusSchema>
