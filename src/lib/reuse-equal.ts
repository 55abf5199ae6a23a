/**
 * The value, with all parts that are equal to those of the former version taken from there: an object that changed takes
 * memory for what changed only. Of plain objects and lists; the new value may be altered.
 */
export function reuseEqual<T>(former: unknown, value: T): T {
  if (former === value || typeof value !== 'object' || value === null) return value
  if (typeof former !== 'object' || former === null || Array.isArray(former) !== Array.isArray(value)) return value
  const [before, after] = [former as Record<string, unknown>, value as Record<string, unknown>]
  const fields = Object.keys(after)
  let isEqual = fields.length === Object.keys(before).length
  for (const field of fields) {
    const part = reuseEqual(before[field], after[field])
    after[field] = typeof part === 'string' && part === before[field] ? before[field] : part
    isEqual &&= Object.is(after[field], before[field]) && Object.hasOwn(before, field)
  }
  return isEqual ? (former as T) : value
}
