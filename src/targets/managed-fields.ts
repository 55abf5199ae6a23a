import type { Secret } from './secret.ts'

/** The labels and annotations that a field manager has set, by managedFields. */
export function ownedMetadata(secret: Secret, fieldManager: string): { labels: string[]; annotations: string[] } {
  const labels: string[] = []
  const annotations: string[] = []
  for (const entry of secret.metadata.managedFields ?? []) {
    if (entry.manager !== fieldManager) continue
    const metadata = fieldsOf(entry.fieldsV1, 'f:metadata')
    labels.push(...namesOf(fieldsOf(metadata, 'f:labels')))
    annotations.push(...namesOf(fieldsOf(metadata, 'f:annotations')))
  }
  return { labels, annotations }
}

export function fieldsOf(fields: unknown, name: string): unknown {
  return typeof fields === 'object' && fields !== null ? (fields as Record<string, unknown>)[name] : undefined
}

export function namesOf(fields: unknown): string[] {
  if (typeof fields !== 'object' || fields === null) return []
  return Object.keys(fields).flatMap((name) => (name.startsWith('f:') ? [name.slice(2)] : []))
}
