import type { ApplicationView } from '../tokens/application-view.ts'
import { byObject, type Caches, findByUid } from './caches.ts'
import {
  type Credential,
  type ObjectMetadata,
  type Observed,
  type OtherOwner,
  type Propagation,
  sourceRefs,
} from './observed.ts'
import { shareStringsOf } from './parse-object.ts'
import type { Pass } from './pass.ts'

/** What an observation needs besides the caches and the pass. */
export interface Surroundings {
  readonly application: ApplicationView | undefined
  readonly propagation: Propagation | undefined
  readonly isSummoned: boolean
  readonly configMapsAwaitedSince: number | undefined
  readonly isGatewayAllowed: (gatewayUrl: string) => boolean
  readonly fieldManager: string
  readonly wallOffset: number
}

/** Collects everything that a plan depends on. */
export function observe(caches: Caches, pass: Pass, around: Surroundings): Observed {
  const { configMaps, secrets } = caches
  const { contents, credential, problems, sourceProblem, state } = pass
  const { namespace, spec } = credential
  const targetMetas = new Map<string, ObjectMetadata | undefined>()
  for (const { name } of spec.targets) targetMetas.set(name, secrets.get(`${namespace}/${name}`))
  for (const name of state.record.keys()) targetMetas.set(name, secrets.get(`${namespace}/${name}`))
  const refs = sourceRefs(spec)
  const sourceMetas = refs.map(({ kind, name }) => {
    return (kind === 'Secret' ? secrets : configMaps).get(`${namespace}/${name}`)
  })
  shareStringsOf([credential, ...sourceMetas, ...targetMetas.values()])
  return {
    credential,
    gatewayUrl: state.gatewayUrl,
    templates: state.templates,
    templateProblem: state.templateProblem,
    isGatewayAllowed: around.isGatewayAllowed(state.gatewayUrl),
    sourceRefs: refs,
    sourceMetas,
    sources: state.sources,
    sourceProblem,
    configMapsAwaitedSince: around.configMapsAwaitedSince,
    targetMetas,
    targetContents: contents,
    targetProblems: problems,
    record: state.record,
    membership: state.membership,
    application: around.application,
    isAlive: (uid) => findByUid(caches, uid) !== undefined,
    nameOf: (uid) => findByUid(caches, uid)?.name,
    otherOwnerOf: (name) => otherOwnerOf(caches.credentials, credential, name),
    adoptions: pass.adoptions,
    propagation: around.propagation,
    isSummoned: around.isSummoned,
    firstSeenAt: state.firstSeenAt,
    statusWrittenAt: state.statusWrittenAt,
    prunedStatus: state.prunedStatus,
    ownStatus: state.ownStatus,
    statusContest: state.statusContest,
    isStatusDue: state.isStatusDue,
    finalizerWrite: state.finalizerWrite,
    notes: state.notes,
    contests: state.contests,
    alterations: state.alterations,
    fieldManager: around.fieldManager,
    wallOffset: around.wallOffset,
  }
}

/** One that has written the Secret comes first: it would lose its keys. Of several, the first by name. */
function otherOwnerOf(
  credentials: Caches['credentials'],
  { namespace, uid }: Credential,
  secretName: string,
): OtherOwner | undefined {
  const isTarget = (target: { readonly name: string }): boolean => target.name === secretName
  const owners: OtherOwner[] = []
  for (const key of credentials.byIndex(byObject('Secret', `${namespace}/${secretName}`))) {
    const other = credentials.get(key)
    if (other === undefined || other.uid === uid) continue
    const isRecorded = other.status.targets.some(isTarget)
    if (isRecorded || other.spec?.targets.some(isTarget) === true) owners.push({ name: other.name, isRecorded })
  }
  const rank = ({ isRecorded, name }: OtherOwner): string => `${isRecorded ? 0 : 1} ${name}`
  return owners.sort((a, b) => (rank(a) < rank(b) ? -1 : 1))[0]
}
