import { closestMatch } from 'leven'

/** An environment variable that no flag reads, and the known one that is probably meant. */
export interface MisspelledVariable {
  readonly variable: string
  readonly nearest: string
}

/** Of letters that are changed, added or missing; exchanged ones are two. With 3, ENOS_APP_ID would mean ENOS_APP_KEY. */
const maxDistance = 2

/**
 * Variables that are nearly known ones. Others get no warning: applications have their own, and Kubernetes sets
 * ENOS_…_SERVICE_HOST and the like for each Service with a name that begins with enos-.
 *
 * @param variables the names of all that are set; their values may be secrets
 * @param known the names of all that the command reads
 */
export function misspelledVariables(variables: readonly string[], known: readonly string[]): MisspelledVariable[] {
  return variables
    .filter((variable) => variable.startsWith('ENOS_') && !known.includes(variable))
    .flatMap((variable) => {
      const nearest = closestMatch(variable, known, { maxDistance })
      return nearest === undefined ? [] : [{ variable, nearest }]
    })
}
