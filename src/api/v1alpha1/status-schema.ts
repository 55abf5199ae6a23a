import { z } from 'zod'

/** Limit of the field in the status; the annotation itself may be longer. */
export const maxRenewRequestLength = 1024

/** observedGeneration of a status that no operator has written: the CRD's default, by convention. */
export const unobservedGeneration = -1

/** appKeyRef, appSecretRef, caRef and 8 of headersFrom: as many objects, or as many keys of one. */
const maxSources = 11

/** 16 names of 253 characters, with `, ` in between. */
const maxTargetNames = 16 * 255
/** The 16 of the spec, and as many that left it and could not be removed yet. */
export const maxRecordedTargets = 32

const time = z.string().max(32)
const objectVersion = {
  name: z.string().max(253).describe('Name of the object.'),
  uid: z.string().max(64).describe('uid of the object.'),
  resourceVersion: z.string().max(64).describe('resourceVersion of the object.'),
}

const condition = z.object({
  type: z
    .string()
    .min(1)
    .max(316)
    .describe('Type of the condition: Ready, RenewalHealthy, Reconciling, Stalled or Propagated.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Status of the condition: True, False or Unknown.'),
  observedGeneration: z.number().int().min(0).optional().describe('metadata.generation that this condition describes.'),
  lastTransitionTime: z
    .string()
    .max(32)
    .meta({ format: 'date-time' })
    .describe('Time of the last change of status (RFC 3339, UTC).'),
  reason: z
    .string()
    .max(1024)
    .describe('Reason for the status, in CamelCase; docs/reference/reasons.md says what to do.'),
  message: z.string().max(32_768).describe('Details for people.'),
})

export const statusSchema = z
  .object({
    observedGeneration: z
      .number()
      .int()
      .optional()
      .describe('metadata.generation that this status describes; -1 before the operator sees the resource.'),
    conditions: z
      .array(condition)
      .max(8)
      .default([])
      .describe(
        'Ready: every target holds a token that is valid now. RenewalHealthy: the last attempt to renew succeeded. Reconciling: the operator is still working on it. Stalled: the user must act. Propagated: the token was propagated to running pods (propagation Immediate, restartOnRenewal). Reconciling and Stalled are present only when True.',
      )
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] }),
    expiresAt: time.optional().describe('Time when the token on the targets expires (RFC 3339, UTC).'),
    issuedAt: time.optional().describe('Time when that token was first received.'),
    nextRenewalAt: time.optional().describe('Time when that token is due for renewal.'),
    lastRenewalAt: time.optional().describe('Time when a new token was last received.'),
    lastRenewalMethod: z
      .enum(['get', 'refresh'])
      .optional()
      .describe('Operation that returned the token: get or refresh.'),
    consecutiveFailures: z
      .number()
      .int()
      .min(0)
      .optional()
      .describe('Number of failed attempts since the last success; updated at most once a minute.'),
    tokenFingerprint: z.string().max(12).optional().describe('First 12 hex digits of the SHA-256 of the token.'),
    gateway: z.string().max(1024).optional().describe('Normalised URL of the gateway that issued the token.'),
    appKeyFingerprint: z
      .string()
      .max(12)
      .optional()
      .describe(
        'First 12 hex digits of a SHA-256 of the appKey and the uid of this resource: shows whether the appKey changed. A reader who knows the appKey can recognise it.',
      ),
    sources: z
      .array(
        z.object({
          ...objectVersion,
          keys: z
            .array(z.string().max(253))
            .max(maxSources)
            .optional()
            .describe('Keys that were used.')
            .meta({ 'x-kubernetes-list-type': 'atomic' }),
        }),
      )
      .max(maxSources)
      .default([])
      .describe(
        'Versions of the source Secrets (appKeyRef, appSecretRef, headersFrom), and of the object of caRef, that were used.',
      )
      .meta({ 'x-kubernetes-list-type': 'atomic' }),
    targets: z
      .array(
        z.object({
          ...objectVersion,
          creationPolicy: z.enum(['Owner', 'Merge']).describe('creationPolicy at the last write.'),
          deletionPolicy: z.enum(['Delete', 'Retain']).describe('deletionPolicy at the last write.'),
          keys: z
            .array(z.string().max(253))
            .max(64)
            .describe('Keys that were written.')
            .meta({ 'x-kubernetes-list-type': 'atomic' }),
          lastWrite: z
            .object({
              reason: z.string().max(64).describe('Reason; docs/reference/action-reasons.md has the list.'),
              at: time.describe('Time of the write (RFC 3339, UTC).'),
            })
            .optional()
            .describe('Reason and time of the last write. Updated together with other changes of the status.'),
        }),
      )
      .max(maxRecordedTargets)
      .default([])
      .describe('Targets as they were last written.')
      .meta({ 'x-kubernetes-list-type': 'atomic' }),
    targetNames: z
      .string()
      .max(maxTargetNames)
      .optional()
      .describe('Names of the targets in the spec, as one text for the printer column.'),
    propagatedFingerprint: z
      .string()
      .max(12)
      .optional()
      .describe(
        'Fingerprint of the token that was propagated to running pods (propagation Immediate, restartOnRenewal).',
      ),
    lastHandledRenewRequest: z
      .string()
      .max(maxRenewRequestLength)
      .optional()
      .describe('Last value of the annotation enos.io/renew-requested-at that was handled.'),
  })
  .describe('Observed state.')

export type CredentialStatus = z.output<typeof statusSchema>
