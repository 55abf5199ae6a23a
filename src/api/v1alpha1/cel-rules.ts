import { z } from 'zod'

/**
 * Adds a CEL rule for the API server, and the same rule in zod for the operator. JSON schema cannot express it, or its
 * message would be a pattern.
 */
export function rule<T extends z.ZodType>(
  schema: T,
  message: string,
  cel: string,
  isMet: (value: z.output<T>) => boolean,
): T {
  const present = (z.globalRegistry.get(schema)?.['x-kubernetes-validations'] ?? []) as object[]
  return schema.refine(isMet, { message }).meta({
    ...z.globalRegistry.get(schema),
    'x-kubernetes-validations': [...present, { rule: cel, message }],
  })
}

/** Requires a string to match. A `pattern` of JSON schema does the same, but kubectl then prints the expression. */
export function matching(schema: z.ZodString, expression: RegExp, message: string): z.ZodString {
  return rule(schema, message, `self.matches('${celPattern(expression)}')`, (text) => expression.test(text))
}

/** An expression as the text of a CEL string. RE2 and JavaScript agree on the syntax that the schema uses. */
export function celPattern(expression: RegExp): string {
  return expression.source.replaceAll('\\/', '/').replaceAll('\\', '\\\\').replaceAll("'", "\\'")
}
