import { managedBy } from '../api/v1alpha1/names.ts'
import type { Problem } from '../api/v1alpha1/problem.ts'
import { isForbidden, isNotFound } from '../kubernetes/errors.ts'
import { credentials, type KubernetesClient, type KubernetesObject, secrets } from '../kubernetes/types.ts'
import type { Clock } from '../lib/clock.ts'
import { createCaches } from '../observe/caches.ts'
import { newState } from '../observe/credential-state.ts'
import { observe } from '../observe/observe.ts'
import type { Credential, Observed } from '../observe/observed.ts'
import { parseCredential, parseMetadata } from '../observe/parse-object.ts'
import { newPass } from '../observe/pass.ts'
import { joinTargetProblems, targetProblem } from '../observe/target-problems.ts'
import { secretsNamed, unusedTokenProblem } from '../observe/token-use.ts'
import type { Secret } from '../targets/secret.ts'
import { ok, skipped, type Step } from './check-steps.ts'

interface CheckTargetsOptions {
  readonly client: KubernetesClient
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * Whether the operator can write the targets: what it would report, found with the permissions of the user. Where these
 * do not suffice, the step is skipped: they need not include the targets.
 *
 * @throws ApiError other than 403 and 404
 */
export async function checkTargets(
  { client, clock, signal }: CheckTargetsOptions,
  credential: Credential,
): Promise<Step> {
  const { namespace, spec } = credential
  const caches = createCaches()
  const pass = newPass(credential, newState(credential, clock.now(), clock.wall() - clock.now()))
  try {
    const { items } = await client.list(credentials, namespace, { signal })
    for (const item of items) caches.credentials.upsert(parseCredential(item))
    for (const { name } of spec.targets) {
      const secret = await find(() => client.get<KubernetesObject & Secret>(secrets, { namespace, name }, { signal }))
      if (secret === undefined) continue
      caches.secrets.upsert(parseMetadata(secret))
      pass.contents.set(name, secret)
    }
  } catch (error) {
    if (!isForbidden(error)) throw error
    return skipped(
      'targets',
      `not checked: forbidden: get of the targets, or list of EnosAppCredentials in ${namespace}`,
    )
  }
  const problem = problemOf(observe(caches, pass, surroundings(clock)))
  // The message says what to do.
  return problem === undefined
    ? ok('targets', `${secretsNamed(spec.targets.map(({ name }) => name))}: nothing is in the way`)
    : { step: 'targets', result: 'failed', detail: problem.message }
}

function problemOf(observed: Observed): Problem | undefined {
  const problems = new Map<string, Problem>()
  for (const target of observed.credential.spec.targets) {
    const problem = targetProblem(observed, target)
    if (problem !== undefined) problems.set(target.name, problem)
  }
  return joinTargetProblems(problems) ?? unusedTokenProblem(observed)
}

/** No token, no calls: only what is in the cluster counts. */
function surroundings(clock: Clock): Parameters<typeof observe>[2] {
  return {
    application: undefined,
    propagation: undefined,
    isSummoned: false,
    configMapsAwaitedSince: undefined,
    isGatewayAllowed: () => true,
    fieldManager: managedBy,
    wallOffset: clock.wall() - clock.now(),
  }
}

async function find<T>(get: () => Promise<T>): Promise<T | undefined> {
  try {
    return await get()
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}
