/** The fields of a value of unknown shape. */
export type Fields = Readonly<Record<string, unknown>>

/** @returns no fields where the value is not an object */
export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {}
}
