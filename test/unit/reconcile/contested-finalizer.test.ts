import { describe, expect, it, onTestFinished } from 'vitest'
import { credentials } from '../../../src/kubernetes/types.ts'
import { minuteMs, type SpecInput } from '../../support/builders.ts'
import type { StoredObject } from '../../support/memory-api.ts'
import { namespace, OperatorWorld } from './operator-world.ts'

const finalizer = 'enos.io/merge-cleanup'
const merged = { targets: [{ name: 'theirs', creationPolicy: 'Merge' }] }

/** A synced credential `a` whose target is, or is not, merged into a foreign Secret. */
async function newWorld(spec: SpecInput): Promise<OperatorWorld> {
  const world = new OperatorWorld()
  onTestFinished(async () => {
    await world.operator?.kill()
  })
  world.addSecret('theirs', { own: 'value' })
  world.addCredential('a', spec)
  await world.start()
  return world
}

function finalizersOf({ metadata }: StoredObject): readonly string[] {
  return metadata.finalizers ?? []
}

/** Another client that sets the finalizers 5 ms after each change to others. @returns the number of its writes, and a stop */
function contest(world: OperatorWorld, finalizers: readonly string[]): { readonly count: () => number; stop(): void } {
  const ref = { namespace, name: 'a' }
  let writes = 0
  let isOver = false
  const react = (): void => {
    const present = world.api.find(credentials, ref)
    if (isOver || present === undefined || finalizersOf(present).join() === finalizers.join()) return
    writes++
    world.user.patch(credentials, ref, { metadata: { finalizers } })
  }
  world.api.listen(({ plural }, _, isGone) => {
    if (plural === credentials.plural && !isGone && !isOver) world.clock.setTimer(5, react)
  })
  react()
  return {
    count: () => writes,
    stop: () => {
      isOver = true
    },
  }
}

function warnings(world: OperatorWorld): number {
  const isWarning = (one: unknown): boolean => typeof one === 'string' && one.includes('keeps changing the finalizer')
  return (world.operator?.emitted ?? []).filter(isWarning).length
}

describe.each([
  ['takes the finalizer off', merged, [], [finalizer]],
  ['puts the finalizer on', {}, [finalizer], []],
])('a client that %s again and again', (_, spec, theirs, ours) => {
  it('the operator corrects it at most 15 times in 10 minutes, and goes on to sync', async () => {
    const world = await newWorld(spec)
    const rival = contest(world, theirs)
    await world.clock.advance(10 * minuteMs)
    expect(rival.count()).toBeGreaterThan(3)
    expect(rival.count()).toBeLessThanOrEqual(15)
    expect(world.conditions('a')).toContain('Ready=True/Synced')
    expect(warnings(world)).toBe(1)
  })

  it('the operator sets the finalizers right within 5 minutes once the other client has stopped', async () => {
    const world = await newWorld(spec)
    const rival = contest(world, theirs)
    await world.clock.advance(3 * minuteMs)
    rival.stop()
    await world.clock.advance(5 * minuteMs)
    const present = world.api.find(credentials, { namespace, name: 'a' })
    expect(present === undefined ? undefined : finalizersOf(present)).toEqual(ours)
  })
})

describe('a deletion of a resource whose finalizer was contested', () => {
  it('the operator removes the merged keys and the finalizer at once', async () => {
    const world = await newWorld(merged)
    const rival = contest(world, [])
    await world.clock.advance(minuteMs)
    rival.stop()
    await world.clock.advance(5 * minuteMs)
    world.deleteCredential('a')
    await world.clock.advance(1000)
    expect(world.api.find(credentials, { namespace, name: 'a' })).toBeUndefined()
    expect(Object.keys(world.secret('theirs')?.data ?? {})).toEqual(['own'])
  })
})

describe('a user who changes the spec back and forth', () => {
  it('has each change applied to the finalizer at once', async () => {
    const world = await newWorld({})
    for (let times = 0; times < 8; times++) {
      world.changeSpec('a', times % 2 === 0 ? merged : { targets: [{ name: 'a-token' }] })
      await world.clock.advance(1000)
      const present = world.api.find(credentials, { namespace, name: 'a' })
      expect(present === undefined ? undefined : finalizersOf(present)).toEqual(times % 2 === 0 ? [finalizer] : [])
    }
    expect(warnings(world)).toBe(0)
  })
})
