import { annotations, apiVersion, kind, labels, managedBy } from '../api/v1alpha1/names.ts'
import type { CredentialSpec } from '../api/v1alpha1/schema.ts'
import type { OwnerReference } from '../kubernetes/types.ts'
import type { Sensitive } from '../lib/sensitive.ts'
import { formatTime } from '../lib/time.ts'
import type { HeldToken } from '../tokens/held-token.ts'
import type { CompiledTemplates } from './template.ts'

export interface ControllerReference extends OwnerReference {
  readonly controller: true
  /** The deletion of a credential never waits for its Secrets. */
  readonly blockOwnerDeletion: false
}

/** The Secret that a target with creationPolicy Owner should be. */
export interface DesiredSecret {
  readonly namespace: string
  readonly name: string
  readonly type: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  /** Undefined for a retained Secret, which outlives its credential. */
  readonly owner: ControllerReference | undefined
  readonly data: Readonly<Record<string, Sensitive>>
}

/** Everything that a target's content depends on. */
export interface SecretInputs {
  readonly credential: { readonly namespace: string; readonly name: string; readonly uid: string }
  readonly target: CredentialSpec['targets'][number]
  readonly templates: CompiledTemplates
  readonly gatewayUrl: string
  readonly sources: { readonly appKey: Sensitive; readonly appSecret: Sensitive }
  readonly token: HeldToken
}

/** The metadata that decides whether a Secret outlives its credential. */
export function ownershipFor(
  { name, uid }: { readonly name: string; readonly uid: string },
  deletionPolicy: 'Delete' | 'Retain',
): Pick<DesiredSecret, 'owner' | 'annotations'> {
  return deletionPolicy === 'Retain'
    ? {
        owner: undefined,
        annotations: { [annotations.retainedCredential]: name, [annotations.retainedCredentialUid]: uid },
      }
    : { owner: { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: false }, annotations: {} }
}

/**
 * The Secret that a target should be. Pure.
 *
 * @throws TemplateRenderError when a template fails on the real values
 */
export function desiredSecret({
  credential,
  gatewayUrl,
  sources,
  target,
  templates,
  token,
}: SecretInputs): DesiredSecret {
  const { name, namespace } = credential
  const expiresAt = formatTime(token.expiresAtWall)
  const issuedAt = formatTime(token.issuedAtWall)
  const ownership = ownershipFor(credential, target.deletionPolicy)
  return {
    namespace,
    name: target.name,
    type: target.type ?? 'Opaque',
    labels: { ...target.labels, [labels.managedBy]: managedBy, [labels.credential]: name },
    annotations: {
      ...target.annotations,
      [annotations.expiresAt]: expiresAt,
      [annotations.issuedAt]: issuedAt,
      ...ownership.annotations,
    },
    owner: ownership.owner,
    data: templates.render({
      accessToken: token.token,
      appKey: sources.appKey,
      appSecret: sources.appSecret,
      gatewayUrl,
      expiresAt,
      expiresAtUnix: token.expiresAtWall / 1000,
      issuedAt,
      name,
      namespace,
    }),
  }
}
