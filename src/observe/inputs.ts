import type { CredentialSpec } from '../api/v1alpha1/schema.ts'
import type { ObjectVersion, Observed } from './observed.ts'

/** The inputs of a target's content besides the token; sources only where a template uses them. */
export function inputsOf({ credential, templates, sourceMetas }: Observed, targetName: string): string {
  const usesSources = templates.get(targetName)?.usesSources === true
  return inputsKey(credential.generation, usesSources ? contentSources(credential.spec, sourceMetas) : undefined)
}

/** The sources whose values templates can use: of appKey and appSecret, and not of the CA and headers. */
export function contentSources<S extends Pick<ObjectVersion, 'name'>>(
  { appKeyRef, appSecretRef }: Pick<CredentialSpec, 'appKeyRef' | 'appSecretRef'>,
  sources: readonly (S | undefined)[],
): (S | undefined)[] {
  return sources.filter((source) => source?.name === appKeyRef.name || source?.name === appSecretRef.name)
}

/** Equal for contents from the same generation and, where a template uses them, the same sources. */
export function inputsKey(
  generation: number | undefined,
  sources: readonly (Pick<ObjectVersion, 'uid' | 'resourceVersion'> | undefined)[] | undefined,
): string {
  const versions = sources?.map((source) => `${source?.uid ?? ''}@${source?.resourceVersion ?? ''}`)
  return JSON.stringify({ generation, versions })
}

/** Which of the inputs differs between two results of `inputsKey`. */
export function changedInput(before: string, after: string): 'SpecChanged' | 'SourceChanged' {
  return generationOf(before) === generationOf(after) ? 'SourceChanged' : 'SpecChanged'
}

function generationOf(inputs: string): unknown {
  return inputs === '' ? undefined : (JSON.parse(inputs) as { readonly generation?: number }).generation
}
