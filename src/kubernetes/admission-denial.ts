/** The admission webhook or policy that refused a request. */
export interface AdmissionDenial {
  readonly kind: 'admission webhook' | 'ValidatingAdmissionPolicy' | 'MutatingAdmissionPolicy'
  /** Its name as registered, a DNS name. */
  readonly name: string
  /** `failed`: the webhook gave no verdict (unreachable, timed out), and its failurePolicy is `Fail`. */
  readonly verdict: 'denied' | 'failed'
}

const dnsName = '[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?'
/** `deployments.apps "reports" is forbidden: `, without the name for a list. */
const forbidden = '[a-z0-9./-]{1,300}(?: "[^"]{0,253}")? is forbidden: '

/**
 * Every pattern begins where the message begins: the API server writes that part, and the text of webhook or policy,
 * which may imitate any of these, comes after it.
 */
const patterns: readonly (Pick<AdmissionDenial, 'kind' | 'verdict'> & { readonly pattern: RegExp })[] = [
  {
    kind: 'admission webhook',
    verdict: 'denied',
    pattern: new RegExp(`^admission webhook "(${dnsName})" denied the request(?:: | without explanation$)`),
  },
  {
    kind: 'admission webhook',
    verdict: 'failed',
    pattern: new RegExp(`^Internal error occurred: failed calling webhook "(${dnsName})": `),
  },
  {
    kind: 'ValidatingAdmissionPolicy',
    verdict: 'denied',
    pattern: new RegExp(
      `^${forbidden}ValidatingAdmissionPolicy '(${dnsName})' (?:with binding '${dnsName}' )?denied request: `,
    ),
  },
  {
    kind: 'MutatingAdmissionPolicy',
    verdict: 'denied',
    pattern: new RegExp(
      `^(?:${forbidden})?policy (?:'(${dnsName})' with binding '${dnsName}'|"(${dnsName})") denied request: `,
    ),
  },
]

const permissionPattern = new RegExp(
  `^(?:${forbidden}|forbidden: )User "(?:[^"\\\\]|\\\\.){0,1000}" cannot [a-z]{1,63} (?:resource|path) "`,
)

/**
 * Finds the webhook or policy that refused a request, by the message of the API server's answer. Of the message the name
 * alone is taken: the rest is an outsider's text and may quote the object's data.
 *
 * @param message `message` of a metav1.Status
 * @returns undefined for every other refusal: by RBAC, a quota, another admission plugin
 */
export function parseAdmissionDenial(message: string): AdmissionDenial | undefined {
  for (const { kind, pattern, verdict } of patterns) {
    const match = pattern.exec(message)
    const name = match?.[1] ?? match?.[2]
    if (name !== undefined) return { kind, name, verdict }
  }
  return undefined
}

/** Whether an authorizer (RBAC) refused a request: the user lacks the permission. By the message of the API server's 403. */
export function isPermissionRefusal(message: string): boolean {
  return permissionPattern.test(message)
}

/** `admission webhook "policy.example.com" denied the request`, for messages. */
export function describeDenial({ kind, name, verdict }: AdmissionDenial): string {
  return `${kind} "${name}" ${verdict === 'denied' ? 'denied the request' : 'could not be called'}`
}
