import type { z } from 'zod'

/** Types of JSON as the reference names them. */
const types: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a number',
  object: 'an object with fields',
  record: 'an object with fields',
  string: 'a text',
}

/** An issue of zod in a sentence that names what is expected. zod's own words are for programmers. */
export function describeIssue(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type': {
      const isMissing = issue.message.endsWith('received undefined')
      return `${isMissing ? 'missing, ' : ''}expected ${types[issue.expected] ?? issue.expected}`
    }
    case 'invalid_value':
      return `expected ${issue.values.map(String).join(' or ')}`
    case 'too_small':
      return `expected at least ${issue.minimum} ${unitOf(issue.origin, issue.minimum)}`
    case 'too_big':
      return `expected at most ${issue.maximum} ${unitOf(issue.origin, issue.maximum)}`
    case 'invalid_key':
      return `the key: ${issue.issues.map(describeIssue).join(', ')}`
    default:
      // A rule of our own (cel-rules.ts) brings its sentence.
      return issue.message
  }
}

function unitOf(origin: string, count: number | bigint): string {
  return `${origin === 'string' ? 'character' : 'item'}${count === 1 ? '' : 's'}`
}
