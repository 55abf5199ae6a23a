/** One step of a check and its result. */
export interface Step {
  readonly step:
    | 'resource'
    | 'sources'
    | 'targets'
    | 'reach'
    | 'tls'
    | 'clock'
    | 'appKey'
    | 'appSecret'
    | 'get'
    | 'refresh'
    | 'renewal'
  /** `unknown`: it could not be checked, or a step before it failed; `skipped`: not requested or not applicable. */
  readonly result: 'ok' | 'failed' | 'unknown' | 'skipped'
  readonly detail: string
  /** What to do. */
  readonly advice?: string
}

/** `unchecked`: nothing failed, but something could not be checked, such as a resource that the user may not get. */
export type CheckOutcome = 'works' | 'fails' | 'unchecked'

export const checkExitCodes: Readonly<Record<CheckOutcome, number>> = { works: 0, fails: 1, unchecked: 3 }

export function ok(step: Step['step'], detail: string): Step {
  return { step, result: 'ok', detail }
}

export function failed(step: Step['step'], detail: string, advice: string): Step {
  return { step, result: 'failed', detail, advice }
}

/** A step that a missing permission, name or answer of the API server keeps from being checked. */
export function unchecked(step: Step['step'], detail: string, advice?: string): Step {
  return { step, result: 'unknown', detail, ...(advice === undefined ? {} : { advice }) }
}

export function unknown(step: Step['step']): Step {
  return { step, result: 'unknown', detail: 'unknown: a step above failed' }
}

export function skipped(step: Step['step'], detail: string): Step {
  return { step, result: 'skipped', detail }
}

export function checkOutcome(steps: readonly Step[]): CheckOutcome {
  if (steps.some(({ result }) => result === 'failed')) return 'fails'
  return steps.some(({ result }) => result === 'unknown') ? 'unchecked' : 'works'
}

const marks: Readonly<Record<Step['result'], string>> = { ok: 'ok', failed: 'FAILED', unknown: '?', skipped: '-' }

/** The report as text: a line for each step, the advice below its step. */
export function renderSteps(steps: readonly Step[]): string {
  const lines = steps.flatMap(({ advice, detail, result, step }) => {
    const line = `${marks[result].padEnd(6)}  ${step.padEnd(9)}  ${detail}`
    return advice === undefined ? [line] : [line, `${' '.repeat(19)}${advice}`]
  })
  return `${[...lines, '', conclusionOf(steps)].join('\n')}\n`
}

function conclusionOf(steps: readonly Step[]): string {
  const outcome = checkOutcome(steps)
  if (outcome === 'works') return 'The credential works.'
  if (outcome === 'unchecked') return 'Could not be checked.'
  const hasToken = steps.some(({ result, step }) => step === 'get' && result === 'ok')
  return hasToken ? 'The gateway returns a token, but a step failed.' : 'The credential does not work.'
}
