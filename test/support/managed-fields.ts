import type { ManagedFieldsEntry } from '../../src/kubernetes/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { formatTime } from '../../src/lib/time.ts'

/** The part of managedFields that the operator reads. */

type Fields = ManagedFieldsEntry['fieldsV1']

function namesIn(fields: unknown): string[] {
  return Object.keys(fields ?? {}).flatMap((name) => (name.startsWith('f:') ? [name.slice(2)] : []))
}

/** The data keys of an entry. */
export function keysOf(fields: Fields): string[] {
  return namesIn(fields?.['f:data'])
}

export function metadataKeysOf(fields: Fields, what: 'f:labels' | 'f:annotations'): string[] {
  return namesIn((fields?.['f:metadata'] as Record<string, unknown> | undefined)?.[what])
}

function fieldSet(names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [`f:${name}`, {}]))
}

export function entryOf(
  manager: string,
  operation: 'Update' | 'Apply',
  keys: readonly string[],
  clock: Clock,
  { annotations = [], labels = [] }: { labels?: readonly string[]; annotations?: readonly string[] } = {},
): ManagedFieldsEntry {
  const metadata = { 'f:labels': fieldSet(labels), 'f:annotations': fieldSet(annotations) }
  const fieldsV1 = { 'f:data': fieldSet(keys), 'f:metadata': metadata }
  return { manager, operation, time: formatTime(clock.wall()), fieldsV1 }
}

/** The entry without these data keys. */
export function without(entry: ManagedFieldsEntry, keys: readonly string[]): ManagedFieldsEntry {
  const kept = keysOf(entry.fieldsV1).filter((key) => !keys.includes(key))
  return { ...entry, fieldsV1: { ...entry.fieldsV1, 'f:data': fieldSet(kept) } }
}
