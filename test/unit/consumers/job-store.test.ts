import { describe, expect, it } from 'vitest'
import { JobStore } from '../../../src/consumers/job-store.ts'
import { createJob } from '../../../src/consumers/propagation-job.ts'
import { credential, now } from '../../support/builders.ts'

const job = (namespace: string, name: string, fingerprint = 'aaa') =>
  createJob(
    {
      credential: credential({ key: `${namespace}/${name}`, namespace, name }),
      fingerprint,
      occasion: 'renewal',
      writtenAtWall: now,
    },
    now,
  )

describe('JobStore', () => {
  it('keeps one job of each credential, however many tokens come', () => {
    const store = new JobStore()
    for (let token = 0; token < 1000; token++) store.set(job('plant-a', 'wind', `token-${token}`))
    expect(store.sizes()).toEqual({ jobs: 1, namespaces: 1 })
    expect(store.get('plant-a/wind')?.fingerprint).toBe('token-999')
  })

  it('keeps nothing of credentials and namespaces that are gone', () => {
    const store = new JobStore()
    for (let at = 0; at < 1000; at++) store.set(job(`plant-${at}`, 'wind'))
    expect(store.sizes()).toEqual({ jobs: 1000, namespaces: 1000 })
    for (let at = 0; at < 1000; at++) store.remove(`plant-${at}/wind`)
    store.remove('plant-0/wind')
    expect(store.sizes()).toEqual({ jobs: 0, namespaces: 0 })
  })

  it('finds the jobs of a namespace only', () => {
    const store = new JobStore()
    store.set(job('plant-a', 'wind'))
    store.set(job('plant-b', 'wind'))
    expect(store.inNamespace('plant-a').map(({ key }) => key)).toEqual(['plant-a/wind'])
    expect(store.inNamespace('plant-c')).toEqual([])
  })
})
