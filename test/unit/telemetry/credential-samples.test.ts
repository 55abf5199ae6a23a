import { describe, expect, it } from 'vitest'
import type { CredentialStatus } from '../../../src/api/v1alpha1/status-schema.ts'
import { createCaches } from '../../../src/observe/caches.ts'
import { noteCorrection } from '../../../src/observe/contest.ts'
import { newState } from '../../../src/observe/credential-state.ts'
import { samplesOf } from '../../../src/telemetry/credential-samples.ts'
import type { ApplicationView } from '../../../src/tokens/application-view.ts'
import { applicationView, credential, minuteMs, now } from '../../support/builders.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const failure = { class: 'retry', reason: 'GatewayUnreachable', message: 'connection refused' } as const
const unhealthy = {
  type: 'RenewalHealthy',
  status: 'False',
  reason: 'SourceSecretNotFound',
  message: '',
  lastTransitionTime: '2026-01-01T12:00:00Z',
} as const

describe('the sample of a credential', () => {
  it('a sample counts the contested targets of the spec, until the contests are over', async () => {
    const clock = new FakeClock(now)
    const caches = createCaches()
    const present = credential({ spec: { targets: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] } })
    caches.credentials.upsert(present)
    const state = newState(present, now, 0)
    const contested = () => [...samplesOf(caches, () => state, clock)].map((one) => one.contestedTargets)
    const interference = { isTokenLost: true, writer: 'rival' }
    const corrected = (name: string): void => {
      state.contests.set(name, noteCorrection(state.contests.get(name), 'f', interference, clock.now()))
    }
    expect(contested()).toEqual([0])
    for (const name of ['a', 'a', 'a', 'b', 'b', 'b', 'c', 'removed', 'removed', 'removed']) corrected(name)
    expect(contested()).toEqual([2])
    await clock.advance(10 * minuteMs)
    expect(contested()).toEqual([0])
  })

  it('samples stay those of the credentials that were present, each time that they are listed', () => {
    const caches = createCaches()
    const [first, second] = [credential({ name: 'a', key: 'plant-a/a' }), credential({ name: 'b', key: 'plant-a/b' })]
    caches.credentials.upsert(first)
    const samples = samplesOf(caches, () => undefined, new FakeClock(now))
    const listed = () => [...samples].map(({ gatewayHost, name }) => `${name} ${gatewayHost}`)
    expect(listed()).toEqual(['a apim.example.com'])
    caches.credentials.upsert(second)
    caches.credentials.remove(first)
    expect(listed()).toEqual(['a apim.example.com'])
  })

  it('a sample has no contested targets before the first pass', () => {
    const clock = new FakeClock(now)
    const caches = createCaches()
    caches.credentials.upsert(credential())
    expect([...samplesOf(caches, () => undefined, clock)].map((one) => one.contestedTargets)).toEqual([0])
  })

  it.each<[string, Partial<CredentialStatus>, Partial<ApplicationView> | undefined, number | undefined]>([
    ['the attempts of this process, not those in the status', { consecutiveFailures: 2 }, { failures: 7, failure }, 7],
    ['no failure once an attempt has worked', { consecutiveFailures: 2, conditions: [unhealthy] }, { failures: 0 }, 0],
    ['1 for a gateway without the refresh that the spec asks for', {}, { failures: 0, failure }, 1],
    ['those in the status of a resource without an application', { consecutiveFailures: 2 }, undefined, 2],
    ['1 while a source keeps the resource from its application', { conditions: [unhealthy] }, undefined, 1],
    ...(['TemplateError', 'InvalidSpec'] as const).map(
      (reason): [string, Partial<CredentialStatus>, undefined, number] => [
        `1 while ${reason} keeps the resource from its application`,
        { conditions: [{ ...unhealthy, status: 'Unknown', reason }] },
        undefined,
        1,
      ],
    ),
    [
      'unchanged while suspended',
      { consecutiveFailures: 0, conditions: [{ ...unhealthy, status: 'Unknown', reason: 'Suspended' }] },
      undefined,
      0,
    ],
    ['nothing while nothing is known', {}, undefined, undefined],
  ])('consecutiveFailures is %s', (_, present, view, expected) => {
    const caches = createCaches()
    caches.credentials.upsert(credential({ status: present }))
    const attempts = () => (view === undefined ? undefined : applicationView(view))
    const [sample] = samplesOf(caches, () => undefined, new FakeClock(now), attempts)
    expect(sample?.consecutiveFailures).toBe(expected)
  })
})
