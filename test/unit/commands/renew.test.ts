import { describe, expect, it } from 'vitest'
import { renew } from '../../../src/commands/renew.ts'
import { outcomeOf } from '../../../src/commands/renewal.ts'
import type { KubernetesClient } from '../../../src/kubernetes/types.ts'
import { formatTime } from '../../../src/lib/time.ts'
import { parseCredential } from '../../../src/observe/parse-object.ts'
import { condition, hourMs, minuteMs, now, status } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const held = status({
  conditions: [condition('RenewalHealthy')],
  tokenFingerprint: 'aaaaaaaaaaaa',
  lastRenewalAt: formatTime(now - hourMs),
  expiresAt: formatTime(now + hourMs),
})
const expiresAt = formatTime(now + 2 * hourMs)

describe('outcomeOf', () => {
  it.each([
    ['another token', { tokenFingerprint: 'bbbbbbbbbbbb', lastRenewalAt: formatTime(now) }],
    ['another token within the same second', { tokenFingerprint: 'bbbbbbbbbbbb' }],
    ['the same value with a new life', { lastRenewalAt: formatTime(now) }],
  ])('reports a renewal with the expiry, from %s', (_, fields) => {
    expect(outcomeOf(held, { ...held, ...fields, expiresAt }, now)).toEqual({
      isRenewed: true,
      text: `renewed, valid until ${expiresAt} (2h)`,
    })
  })

  it('reports the first token as a renewal', () => {
    expect(outcomeOf(status(), held, now)).toMatchObject({ isRenewed: true })
  })

  it('reports that nothing was renewed if the gateway returned the same token', () => {
    const { isRenewed, text } = outcomeOf(held, held, now + 30 * minuteMs)
    expect(isRenewed).toBe(false)
    expect(text).toContain(`not renewed: the gateway returned the same token, valid until`)
    expect(text).toContain('(30m)')
  })

  it('reports a renewal whose token is not on every target as failed, with the reason', () => {
    const conditions = [
      condition('Ready', 'False', 'TargetConflict', 'Secret x already exists'),
      condition('RenewalHealthy'),
    ]
    expect(outcomeOf(held, status({ conditions, tokenFingerprint: 'bbbbbbbbbbbb' }), now)).toEqual({
      isRenewed: false,
      text: 'the gateway gave a token, but not every target holds it: TargetConflict: Secret x already exists',
    })
  })

  it('reports a failed renewal with its reason in one line', () => {
    const conditions = [condition('Ready'), condition('RenewalHealthy', 'False', 'GatewayError', 'HTTP 503\nagain')]
    expect(outcomeOf(held, status({ conditions, tokenFingerprint: 'bbbbbbbbbbbb' }), now)).toEqual({
      isRenewed: false,
      text: 'not renewed: GatewayError: HTTP 503 again',
    })
    expect(outcomeOf(status(), status(), now)).toMatchObject({ isRenewed: false })
  })
})

/** Runs renew on plant-a/wind-farm. @param answers objects that the API server returns; a call without one fails */
function start(answers: { readonly patch: object; readonly get?: object }, waitMs: number) {
  const clock = new FakeClock(now)
  let [stdout, stderr] = ['', '']
  const client = {
    patch: () => Promise.resolve(answers.patch),
    ...(answers.get === undefined ? {} : { get: () => Promise.resolve(answers.get) }),
  } as unknown as KubernetesClient
  const context = {
    clock,
    print: (text: string) => void (stdout += text),
    printError: (text: string) => void (stderr += text),
    signal: new AbortController().signal,
  }
  const code = renew(context, client, { namespace: 'plant-a', name: 'wind-farm' }, waitMs)
  return { clock, stdout: () => stdout, ended: async () => ({ code: await code, stdout, stderr }) }
}

describe('renew', () => {
  const object = { metadata: {}, status: held }

  it('names a wait below a second in milliseconds', async () => {
    const { clock, ended } = start({ patch: object, get: object }, 1)
    await clock.advance(1000)
    const { stdout, ...rest } = await ended()
    expect(rest).toEqual({ code: 1, stderr: '' })
    expect(stdout).toContain('no attempt within 1ms: ')
  })

  it('names the likely causes when no attempt was made in time', async () => {
    const { clock, ended } = start({ patch: object, get: object }, 2000)
    await clock.advance(minuteMs)
    const { stdout, ...rest } = await ended()
    expect(rest).toEqual({ code: 1, stderr: '' })
    expect(stdout).toContain('no attempt within 2s: is the operator running, and does it watch this namespace?')
    expect(stdout).toContain('at most once in 10 s for an application')
  })

  it.each([
    ['after 2 s where the operator makes no attempt', 'SourceKeyMissing', 2000],
    ['after 15 s where an attempt is still to come', 'InvalidAppSecret', 15_000],
  ])('ends with the reason of Stalled %s', async (_, reason, ms) => {
    const conditions = [condition('Ready', 'False', reason, 'no'), condition('Stalled', 'True', reason, 'no')]
    const stalled = { metadata: {}, status: { ...held, conditions } }
    const { clock, ended, stdout: printed } = start({ patch: stalled, get: stalled }, 24 * hourMs)
    await clock.advance(ms - 200)
    expect(printed()).not.toContain(reason)
    await clock.advance(400)
    expect(printed()).toContain(`plant-a/wind-farm: not renewed: ${reason}: no\n`)
    expect(await ended()).toMatchObject({ code: 1, stderr: '' })
  })

  it('warns of a suspended resource on standard error, and succeeds, without a wait', async () => {
    const { ended } = start({ patch: { ...object, spec: { suspend: true } } }, 0)
    expect(await ended()).toEqual({
      code: 0,
      stdout: 'plant-a/wind-farm: renewal requested\n',
      stderr: 'plant-a/wind-farm: spec.suspend is true: the operator renews once it is false\n',
    })
  })

  it('ends when the resource is suspended while it waits', async () => {
    const { ended } = start({ patch: object, get: { ...object, spec: { suspend: true } } }, hourMs)
    const { stdout, ...rest } = await ended()
    expect(rest).toEqual({ code: 1, stderr: '' })
    expect(stdout).toContain('not renewed: spec.suspend is true: the operator renews once it is false')
  })

  it('accepts a later request of another user as handled, whatever its length', async () => {
    const metadata = { annotations: { 'enos.io/renew-requested-at': 'x'.repeat(2000) } }
    const handled = parseCredential({ metadata }).renewRequest
    const after = { ...held, lastRenewalAt: formatTime(now), expiresAt, lastHandledRenewRequest: handled }
    const { clock, ended } = start({ patch: object, get: { metadata, status: after } }, 1)
    await clock.advance(minuteMs)
    const { stdout, ...rest } = await ended()
    expect(rest).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain(`plant-a/wind-farm: renewed, valid until ${expiresAt} (2h)`)
  })
})
