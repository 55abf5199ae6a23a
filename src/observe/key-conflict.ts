import { annotations, mergeFieldManager } from '../api/v1alpha1/names.ts'
import type { Problem } from '../api/v1alpha1/problem.ts'
import { joinNames } from '../lib/join-names.ts'
import { Sensitive } from '../lib/sensitive.ts'
import { holdersOf, plainManager } from '../targets/managed-fields.ts'
import { compareMerged } from '../targets/merged-keys.ts'
import type { Secret } from '../targets/secret.ts'
import { conflict, otherClaim, ownerPhrase } from './adoption.ts'
import type { Observed } from './observed.ts'
import { isOurs, mergeIdentityOf } from './ownership.ts'

/** Why a Merge target cannot be written: another field manager holds keys that the spec asks for. */
export function keyConflict(observed: Observed, name: string, content: Secret): Problem | undefined {
  const keys = conflictingKeys(observed, name, content)
  if (keys.length === 0) return undefined
  const { isRival } = mergeIdentityOf(observed)
  const rivalOf = (key: string): string | undefined => holdersOf(content, key).find(isRival)
  const rivals = Map.groupBy(keys, rivalOf)
  const others = rivals.get(undefined) ?? []
  rivals.delete(undefined)
  const sentences = [...rivals].map(([manager = '', ofRival]) => {
    const owner = ownerPhrase(observed.nameOf(manager.slice(mergeFieldManager('').length)))
    return ofRival.length === 1
      ? `${joinNames(ofRival)}, which belongs to ${owner}: name another key or target`
      : `${joinNames(ofRival)}, which belong to ${owner}: name other keys or another target`
  })
  if (others.length > 0) sentences.push(foreignKeys(observed, content, others))
  return conflict(`Secret ${name} already has ${joinNames(sentences, '; ')}`)
}

/** Keys of another tool: the annotation hands those over. */
function foreignKeys(observed: Observed, content: Secret, keys: readonly string[]): string {
  const holders = new Set(keys.flatMap((key) => holdersOf(content, key)).map(plainManager))
  const isNamed = holders.size > 0 && !holders.has(undefined)
  const named = `field manager${holders.size === 1 ? '' : 's'} ${joinNames([...holders].map(String))}`
  const owner = isNamed ? named : 'another field manager'
  const { name: ours } = observed.credential
  const claimed = otherClaim(observed, content.metadata.annotations?.[annotations.adopt])
  const advice =
    claimed === undefined
      ? `annotate the Secret with ${annotations.adopt}: ${ours} to hand them over`
      : `correct its annotation to hand them over: ${claimed}`
  return `${joinNames(keys)}, owned by ${owner}; name other keys, remove those, or ${advice}`
}

function conflictingKeys(observed: Observed, name: string, content: Secret): readonly string[] {
  // The operator is about to give up ownership of its own Secret.
  if (isOurs(observed, observed.targetMetas.get(name))) return []
  const recordedKeys = observed.record.get(name)?.keys ?? []
  const anything = new Sensitive('')
  const desired = Object.fromEntries((observed.templates.get(name)?.keys ?? []).map((key) => [key, anything]))
  const comparison = compareMerged(content, desired, recordedKeys, mergeIdentityOf(observed))
  return comparison.kind === 'conflict' ? comparison.keys : []
}
