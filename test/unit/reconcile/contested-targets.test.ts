import { describe, expect, it, onTestFinished } from 'vitest'
import { secrets } from '../../../src/kubernetes/types.ts'
import { hourMs, minuteMs } from '../../support/builders.ts'
import type { ApiCall, StoredObject } from '../../support/memory-api.ts'
import { namespace, OperatorWorld } from './operator-world.ts'

const name = 'a-token'
const forged = Buffer.from('forged').toString('base64')

/** A synced credential `a`. */
async function newWorld(): Promise<OperatorWorld> {
  const world = new OperatorWorld()
  onTestFinished(async () => {
    await world.operator?.kill()
  })
  world.addCredential('a')
  await world.start()
  return world
}

/** Another writer that reacts to each write of the operator 5 ms later. @returns a function that stops the writer */
function contest(world: OperatorWorld, interfere: (present: StoredObject) => void): () => void {
  let isOver = false
  const react = (): void => {
    const present = world.secret(name)
    if (!isOver && present !== undefined) interfere(present)
  }
  world.api.listen(({ plural }, object, isGone) => {
    const isTarget = plural === secrets.plural && object.metadata.name === name
    if (isTarget && !isGone && !isOver) world.clock.setTimer(5, react)
  })
  react()
  return () => {
    isOver = true
  }
}

const isSecretWrite = ({ name: of, plural, verb }: ApiCall): boolean =>
  plural === 'secrets' && of === name && verb !== 'get'
const isStatusWrite = ({ plural, verb }: ApiCall): boolean => plural === 'enosappcredentials' && verb === 'patch'

interface Writer {
  readonly interfere: (world: OperatorWorld) => (present: StoredObject) => void
}

const writers: [string, Writer['interfere']][] = [
  [
    'replaces the token',
    (world) => (present) => {
      if (present.data?.['accessToken'] === forged) return
      world.user.patch(secrets, { namespace, name }, { data: { accessToken: forged } })
    },
  ],
  [
    'deletes the Secret',
    (world) => () => {
      world.user.delete(secrets, { namespace, name })
    },
  ],
]

describe('a contested target', () => {
  it.each(writers)(
    'a target is corrected at most 15 times in 10 minutes, with one event, when another writer %s',
    async (_, interfere) => {
      const world = await newWorld()
      const before = world.api.calls.length
      contest(world, interfere(world))
      await world.clock.advance(10 * minuteMs)
      const calls = world.api.calls.slice(before)
      expect(calls.filter(isSecretWrite).length).toBeLessThanOrEqual(15)
      expect(calls.filter(isSecretWrite).length).toBeGreaterThan(5)
      expect(calls.filter(isStatusWrite).length).toBeLessThanOrEqual(15)
      expect(world.conditions('a')).toContain('Ready=False/TargetContested')
      const events = world.operator?.emitted.filter(
        (one) => typeof one !== 'string' && one.reason === 'TargetContested',
      )
      expect(events).toHaveLength(1)
      expect(world.gateway.calls).toHaveLength(1)
    },
  )

  it('a target never turns Ready True between two corrections of its token', async () => {
    const world = await newWorld()
    const seen = new Set<string>()
    contest(world, writers[0]?.[1](world) ?? (() => undefined))
    await world.clock.advance(1000)
    for (let n = 0; n < 300; n++) {
      await world.clock.advance(1000)
      seen.add(world.conditions('a').split(' ')[0] ?? '')
    }
    expect([...seen]).toEqual(['Ready=False/TargetContested'])
  })

  it('a target with a contested token gets a new token without delay', async () => {
    const world = await newWorld()
    contest(world, writers[0]?.[1](world) ?? (() => undefined))
    await world.clock.advance(90 * minuteMs)
    const written = Date.parse(world.secret(name)?.metadata.annotations?.['enos.io/issued-at'] ?? '')
    await world.clock.advance(hourMs)
    const renewed = Date.parse(world.secret(name)?.metadata.annotations?.['enos.io/issued-at'] ?? '')
    expect(renewed).toBeGreaterThan(written)
    const lastRenewalAt = Date.parse(world.status('a').lastRenewalAt ?? '')
    expect(Math.abs(renewed - lastRenewalAt)).toBeLessThan(2000)
  })

  it('a target turns Ready True 10 s after the last correction of its token', async () => {
    const world = await newWorld()
    const stop = contest(world, writers[0]?.[1](world) ?? (() => undefined))
    await world.clock.advance(minuteMs)
    stop()
    await world.clock.advance(2 * minuteMs)
    expect(world.conditions('a')).toContain('Ready=True/Synced')
    expect(world.isValid(name)).toBe(true)
  })

  it('a target with a contested label stays Ready, with one event', async () => {
    const world = await newWorld()
    const before = world.api.calls.length
    contest(world, (present) => {
      if (present.metadata.labels?.['enos.io/credential'] === 'x') return
      world.user.patch(secrets, { namespace, name }, { metadata: { labels: { 'enos.io/credential': 'x' } } })
    })
    await world.clock.advance(10 * minuteMs)
    expect(world.api.calls.slice(before).filter(isSecretWrite).length).toBeLessThanOrEqual(15)
    expect(world.conditions('a')).toContain('Ready=True/Synced')
    const events = world.operator?.emitted.filter((one) => typeof one !== 'string' && one.reason === 'TargetContested')
    expect(events).toHaveLength(1)
  })
})

describe('the contests of a resource', () => {
  it('contests of targets that left the spec are forgotten', async () => {
    const world = await newWorld()
    for (let at = 0; at < 20; at++) {
      const target = `token-${at}`
      world.changeSpec('a', { targets: [{ name: target }] })
      await world.clock.advance(1000)
      world.user.delete(secrets, { namespace, name: target })
      await world.clock.advance(1000)
      if (at % 2 === 0) world.user.delete(secrets, { namespace, name: target })
    }
    await world.clock.advance(1000)
    expect(world.operator?.state('plant-a/a')?.contests.size).toBe(1)
  })
})
