import type { Sensitive } from '../lib/sensitive.ts'
import type { DesiredSecret } from './desired-secret.ts'
import { decodeKey, type Secret, toBase64 } from './secret.ts'

/**
 * How the API server stored a Secret otherwise than it was written: admission webhooks and policies may alter it. An
 * alteration is not fought: the same write would have the same result.
 */
export interface Alteration {
  /** The type that was stored; undefined when it is the desired one. */
  readonly type: string | undefined
  readonly isImmutable: boolean
  /** Data keys with another value, or without one. */
  readonly keys: readonly string[]
  /** Data keys that were added. */
  readonly addedKeys: readonly string[]
  readonly labels: readonly string[]
  readonly annotations: readonly string[]
}

type Written = Pick<DesiredSecret, 'data'> & Partial<Pick<DesiredSecret, 'type' | 'labels' | 'annotations'>>

/**
 * Compares the API server's answer to a write with what was written. Pure.
 *
 * @param written without type, labels and annotations for a Secret of another owner
 * @returns undefined when it was stored as written
 */
export function alterationOf(written: Written, stored: Secret): Alteration | undefined {
  const data = stored.data ?? {}
  const isOwned = written.type !== undefined
  const storedType = stored.type ?? 'Opaque'
  const alteration: Alteration = {
    type: isOwned && storedType !== written.type ? storedType : undefined,
    isImmutable: isOwned && stored.immutable === true,
    keys: Object.entries(written.data).flatMap(([key, value]) => (data[key] === toBase64(value) ? [] : [key])),
    addedKeys: isOwned ? Object.keys(data).filter((key) => !Object.hasOwn(written.data, key)) : [],
    labels: differing(written.labels, stored.metadata.labels),
    annotations: differing(written.annotations, stored.metadata.annotations),
  }
  const lists = [alteration.keys, alteration.addedKeys, alteration.labels, alteration.annotations]
  const isAltered = alteration.type !== undefined || alteration.isImmutable || lists.some((list) => list.length > 0)
  return isAltered ? alteration : undefined
}

/** The desired Secret where admission's alteration is taken as given: altered parts are desired as they are stored. */
export function accepting(desired: DesiredSecret, alteration: Alteration, stored: Secret): DesiredSecret {
  const { addedKeys, annotations, keys, labels, type } = alteration
  const valueOf = (key: string): Sensitive | undefined => decodeKey(stored, key)
  return {
    ...desired,
    type: type ?? desired.type,
    labels: overriding(desired.labels, labels, (key) => stored.metadata.labels?.[key]),
    annotations: overriding(desired.annotations, annotations, (key) => stored.metadata.annotations?.[key]),
    data: overriding(desired.data, [...keys, ...addedKeys], valueOf),
  }
}

function overriding<V>(
  record: Readonly<Record<string, V>>,
  keys: readonly string[],
  valueOf: (key: string) => V | undefined,
): Record<string, V> {
  const kept = Object.entries(record).filter(([key]) => !keys.includes(key))
  const given = keys.flatMap((key): [string, V][] => {
    const value = valueOf(key)
    return value === undefined ? [] : [[key, value]]
  })
  return Object.fromEntries([...kept, ...given])
}

function differing(
  written: Readonly<Record<string, string>> = {},
  stored: Readonly<Record<string, string>> = {},
): string[] {
  return Object.keys(written).filter((key) => stored[key] !== written[key])
}
