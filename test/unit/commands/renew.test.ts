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
const printError = (text: string): never => {
  throw new Error(`on standard error: ${text}`)
}

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

describe('renew', () => {
  it('names a wait below a second in milliseconds', async () => {
    const object = { metadata: {}, status: held }
    const client = { patch: () => Promise.resolve(object), get: () => Promise.resolve(object) }
    let printed = ''
    const clock = new FakeClock(now)
    const print = (text: string): void => void (printed += text)
    const context = { clock, print, printError, signal: new AbortController().signal }
    const ref = { namespace: 'plant-a', name: 'wind-farm' }
    const code = renew(context, client as unknown as KubernetesClient, ref, 1)
    await clock.advance(1000)
    expect(await code).toBe(1)
    expect(printed).toContain('no attempt within 1ms: ')
  })

  it('names the likely causes when no attempt was made in time', async () => {
    const client = {
      patch: () => Promise.resolve({ metadata: {}, status: held }),
      get: () => Promise.resolve({ metadata: {}, status: held }),
    } as unknown as KubernetesClient
    let printed = ''
    const clock = new FakeClock(now)
    const context = {
      clock,
      printError,
      print: (text: string) => void (printed += text),
      signal: new AbortController().signal,
    }
    const code = renew(context, client, { namespace: 'plant-a', name: 'wind-farm' }, 2000)
    await clock.advance(minuteMs)
    expect(await code).toBe(1)
    expect(printed).toContain('no attempt within 2s: is the operator running, and does it watch this namespace?')
    expect(printed).toContain('at most once in 10 s for an application')
  })

  it.each([
    ['after 2 s where the operator makes no attempt', 'SourceKeyMissing', 2000],
    ['after 15 s where an attempt is still to come', 'InvalidAppSecret', 15_000],
  ])('ends with the reason of Stalled %s', async (_, reason, ms) => {
    const conditions = [condition('Ready', 'False', reason, 'no'), condition('Stalled', 'True', reason, 'no')]
    const object = { metadata: {}, status: { ...held, conditions } }
    const client = { patch: () => Promise.resolve(object), get: () => Promise.resolve(object) }
    let printed = ''
    const clock = new FakeClock(now)
    const context = {
      clock,
      printError,
      print: (text: string) => void (printed += text),
      signal: new AbortController().signal,
    }
    const ref = { namespace: 'plant-a', name: 'wind-farm' }
    const code = renew(context, client as unknown as KubernetesClient, ref, 24 * hourMs)
    await clock.advance(ms - 200)
    expect(printed).not.toContain(reason)
    await clock.advance(400)
    expect(printed).toContain(`plant-a/wind-farm: not renewed: ${reason}: no\n`)
    expect(await code).toBe(1)
  })

  it('warns of a suspended resource on standard error, and succeeds, without a wait', async () => {
    const object = { metadata: {}, spec: { suspend: true }, status: held }
    const client = { patch: () => Promise.resolve(object) } as unknown as KubernetesClient
    let [stdout, stderr] = ['', '']
    const context = {
      clock: new FakeClock(now),
      print: (text: string) => void (stdout += text),
      printError: (text: string) => void (stderr += text),
      signal: new AbortController().signal,
    }
    const code = await renew(context, client, { namespace: 'plant-a', name: 'wind-farm' }, 0)
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: 'plant-a/wind-farm: renewal requested\n',
      stderr: 'plant-a/wind-farm: spec.suspend is true: the operator renews once it is false\n',
    })
  })

  it('ends when the resource is suspended while it waits', async () => {
    const client = {
      patch: () => Promise.resolve({ metadata: {}, status: held }),
      get: () => Promise.resolve({ metadata: {}, spec: { suspend: true }, status: held }),
    } as unknown as KubernetesClient
    let printed = ''
    const context = {
      printError,
      clock: new FakeClock(now),
      print: (text: string) => void (printed += text),
      signal: new AbortController().signal,
    }
    expect(await renew(context, client, { namespace: 'plant-a', name: 'wind-farm' }, hourMs)).toBe(1)
    expect(printed).toContain('not renewed: spec.suspend is true: the operator renews once it is false')
  })

  it('accepts a later request of another user as handled, whatever its length', async () => {
    const metadata = { annotations: { 'enos.io/renew-requested-at': 'x'.repeat(2000) } }
    const handled = parseCredential({ metadata }).renewRequest
    const after = { ...held, lastRenewalAt: formatTime(now), expiresAt, lastHandledRenewRequest: handled }
    const client = {
      patch: () => Promise.resolve({ metadata: {}, status: held }),
      get: () => Promise.resolve({ metadata, status: after }),
    } as unknown as KubernetesClient
    const printed: string[] = []
    const clock = new FakeClock(now)
    const context = {
      printError,
      clock,
      print: (text: string) => void printed.push(text),
      signal: new AbortController().signal,
    }
    const code = renew(context, client, { namespace: 'plant-a', name: 'wind-farm' }, 1)
    await clock.advance(minuteMs)
    expect(await code).toBe(0)
    expect(printed.join('')).toContain(`plant-a/wind-farm: renewed, valid until ${expiresAt} (2h)`)
  })
})
