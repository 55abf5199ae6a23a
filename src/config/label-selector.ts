/** A Kubernetes label selector, parsed. */
export interface LabelSelector {
  /** As given, for the API server. */
  readonly text: string
  /** All of them have to hold. */
  readonly requirements: readonly LabelRequirement[]
}

/** `values` undefined: any value. */
interface LabelRequirement {
  readonly key: string
  readonly isNegated: boolean
  readonly values: readonly string[] | undefined
}

/** Commas outside of parentheses. */
const separator = /,(?![^(]*\))/
const requirementFormat =
  /^(?:(?<absent>!)\s*)?(?<key>[^\s=!,()<>]+)(?:\s*(?<equality>==?|!=)\s*(?<value>[^\s=!,()<>]*)|\s+(?<set>in|notin)\s*\((?<values>[^()]+)\))?$/
const nameFormat = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const prefixFormat = /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/

/**
 * Parses the syntax of `kubectl --selector`, equality-based and set-based.
 *
 * @returns undefined when the text is no selector
 * @see https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
 */
export function parseLabelSelector(text: string): LabelSelector | undefined {
  const requirements = text.split(separator).map((part) => parseRequirement(part.trim()))
  return requirements.every((requirement) => requirement !== undefined) ? { text, requirements } : undefined
}

/** Whether an object with these labels is selected. */
export function matchesSelector(
  { requirements }: LabelSelector,
  labels: Readonly<Record<string, string>> = {},
): boolean {
  return requirements.every(({ isNegated, key, values }) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined
    const isMet = value !== undefined && (values === undefined || values.includes(value))
    return isMet !== isNegated
  })
}

function parseRequirement(text: string): LabelRequirement | undefined {
  const { absent, equality, key = '', set, value, values } = requirementFormat.exec(text)?.groups ?? {}
  const listed = equality === undefined ? values?.split(',').map((one) => one.trim()) : [value ?? '']
  if (!isLabelKey(key) || listed?.every(isLabelValue) === false) return undefined
  if (absent !== undefined && listed !== undefined) return undefined
  return { key, isNegated: absent !== undefined || equality === '!=' || set === 'notin', values: listed }
}

/** `name` or `prefix/name`. */
function isLabelKey(text: string): boolean {
  const slash = text.indexOf('/')
  return nameFormat.test(text.slice(slash + 1)) && (slash === -1 || prefixFormat.test(text.slice(0, slash)))
}

function isLabelValue(text: string): boolean {
  return text === '' || nameFormat.test(text)
}
