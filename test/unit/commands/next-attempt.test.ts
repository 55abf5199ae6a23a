import { describe, expect, it } from 'vitest'
import type { Reason } from '../../../src/api/v1alpha1/reasons.ts'
import { awaitedChange } from '../../../src/commands/next-attempt.ts'
import { condition, status } from '../../support/builders.ts'

describe('awaitedChange', () => {
  const source = 'Secret enos-app'
  const sourceChange = `waits for a change of ${source}`

  it.each<[Reason, string]>([
    ['SourceKeyMissing', sourceChange],
    ['SourceSecretNotFound', sourceChange],
    ['InvalidCA', sourceChange],
    ['SourceForbidden', 'tried again within 10m'],
    ['GatewayNotAllowed', 'waits for a change of spec.gateway.url, or of --allowed-gateways'],
    ['TemplateError', 'waits for a change of the spec'],
    ['InvalidSpec', 'waits for a change of the spec'],
    ['InvalidAppSecret', `retried within 10m, and at once after a change of ${source}`],
    ['AppKeyNotFound', `retried within 10m, and at once after a change of ${source}`],
    ['GatewayUnreachable', 'retried with growing delays'],
  ])('with the reason %s the next attempt is told as: %s', (reason, text) => {
    const conditions = [condition('Stalled', 'True', reason), condition('RenewalHealthy', 'False', reason)]
    expect(awaitedChange(status({ conditions }), [source])).toBe(text)
  })

  it('nothing is awaited while renewals work, though a target has a conflict', () => {
    const conditions = [condition('Stalled', 'True', 'TargetConflict'), condition('RenewalHealthy')]
    expect(awaitedChange(status({ conditions }), [source])).toBeUndefined()
  })
})
