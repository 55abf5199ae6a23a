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

/** The field managers that hold a key of the data. */
export function holdersOf({ metadata: { managedFields = [] } }: Secret, key: string): string[] {
  return managedFields.flatMap(({ fieldsV1, manager }) =>
    manager !== undefined && namesOf(fieldsOf(fieldsV1, 'f:data')).includes(key) ? [manager] : [],
  )
}

export function fieldsOf(fields: unknown, name: string): unknown {
  return typeof fields === 'object' && fields !== null ? (fields as Record<string, unknown>)[name] : undefined
}

export function namesOf(fields: unknown): string[] {
  if (typeof fields !== 'object' || fields === null) return []
  return Object.keys(fields).flatMap((name) => (name.startsWith('f:') ? [name.slice(2)] : []))
}

/** Of a name that another client chose. */
const maxManagerLength = 64

/**
 * A field manager for a message. A client chooses its name: undefined where that could be mistaken for anything else than
 * a name.
 */
export function plainManager(manager: string): string | undefined {
  return /^[\w./:-]+$/.test(manager) ? manager.slice(0, maxManagerLength) : undefined
}
