import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { customResourceDefinition } from '../../src/api/v1alpha1/crd.ts'
import { parseSpec } from '../../src/api/v1alpha1/credential.ts'
import { ApiError } from '../../src/kubernetes/errors.ts'
import { credentials } from '../../src/kubernetes/types.ts'
import { runToEnd } from '../support/run.ts'
import { fullSpec, minimalSpec, type SpecCase, specCases } from '../support/spec-table.ts'
import { type CredentialObject, eventually, useHarness } from './harness.ts'
import { has } from './kubernetes-version.ts'

const harness = useHarness()
let namespace: string

beforeAll(async () => {
  namespace = await harness().namespace()
})

afterAll(async () => {
  await kubectl(['delete', 'enosappcredentials', '--all'])
})

async function create(name: string, spec: unknown): Promise<CredentialObject> {
  return await harness().admin.create(credentials, namespace, {
    apiVersion: 'enos.io/v1alpha1',
    kind: 'EnosAppCredential',
    metadata: { name },
    spec,
  })
}

async function kubectl(args: readonly string[], input = '') {
  const file = `${inject('assets')}/kubectl`
  return await runToEnd(file, ['--kubeconfig', inject('adminKubeconfig'), '-n', namespace, ...args], { input })
}

describe('the API server', () => {
  let answers: ReadonlyMap<SpecCase, CredentialObject | ApiError>

  beforeAll(async () => {
    const pairs = specCases.map(async (one, at): Promise<[SpecCase, CredentialObject | ApiError]> => {
      try {
        return [one, await create(`case-${at}`, one.spec)]
      } catch (error) {
        if (!(error instanceof ApiError)) throw error
        return [one, error]
      }
    })
    answers = new Map(await Promise.all(pairs))
  })

  it.each(specCases)('agrees with the table and with parseSpec on $name', (one) => {
    const answer = answers.get(one)
    if (one.isAccepted) {
      // The API server stores the defaults that zod applies, except in lists.
      const { spec } = answer as CredentialObject
      const parsed = parseSpec('x', one.spec)
      const given = one.spec as Pick<typeof minimalSpec, 'targets'>
      expect(parsed.ok ? { ...parsed.spec, targets: given.targets } : parsed.problems).toEqual(spec)
      expect(parseSpec('x', spec)).toEqual(parsed)
    } else {
      expect(answer).toMatchObject({ code: 422, reason: 'Invalid' })
    }
  })

  it('drops unknown fields, and warns of them in strict validation', async () => {
    const { spec } = await create('unknown-fields', { ...minimalSpec, renewBfore: '5m' })
    expect(spec).not.toHaveProperty('renewBfore')
    const { code, stderr } = await kubectl(
      ['apply', '-f', '-'],
      JSON.stringify({
        apiVersion: 'enos.io/v1alpha1',
        kind: 'EnosAppCredential',
        metadata: { name: 'typing-error' },
        spec: { ...minimalSpec, renewBfore: '5m' },
      }),
    )
    expect(code).toBe(1)
    expect(stderr).toContain('unknown field "spec.renewBfore"')
  })

  it('refuses a name of the resource that is too long for a label value, and says so', async () => {
    await create('n'.repeat(63), minimalSpec)
    await expect(create('n'.repeat(64), minimalSpec)).rejects.toMatchObject({ code: 422 })
    const { stderr } = await kubectl(['create', '-f', '-'], JSON.stringify(named('n'.repeat(64))))
    expect(stderr).toContain('metadata.name: must be at most 63 characters')
  })

  it.each(['99ms', '2m', '99999999h', '1d'])(
    'names the bounds of a timeout of %s, without an error of CEL itself',
    async (timeout) => {
      const spec = { ...minimalSpec, gateway: { ...minimalSpec.gateway, timeout } }
      const { stderr } = await kubectl(['create', '-f', '-'], JSON.stringify({ ...named('untimely'), spec }))
      const value = has('values in errors of CEL rules') ? timeout : 'string'
      expect(stderr).toContain(`spec.gateway.timeout: Invalid value: "${value}": must be from 100ms to 1m`)
      expect(stderr).not.toContain('evaluating rule')
    },
  )

  it.each([
    [
      { gateway: { url: 'https://user@apim.example.com' } },
      'spec.gateway.url',
      'expected http(s)://host in lower case',
    ],
    [{ appKeyRef: { name: 'Enos' } }, 'spec.appKeyRef.name', 'expected the name of an object'],
    [{ appSecretRef: { name: 'enos', key: 'a/b' } }, 'spec.appSecretRef.key', 'expected a key of letters'],
    [{ renewBefore: 'soon' }, 'spec.renewBefore', 'expected a duration like 10s'],
    [{ targets: [{ name: 'a', labels: { a: 'a b' } }] }, 'spec.targets[0].labels[a]', 'expected a label value'],
  ])('says what it expects, and shows no pattern: %j', async (field, path, expected) => {
    const spec = { ...minimalSpec, ...field }
    const { stderr } = await kubectl(['create', '-f', '-'], JSON.stringify({ ...named('refused'), spec }))
    expect(stderr).toContain(`${path}: Invalid value: `)
    expect(stderr).toContain(`: ${expected}`)
    expect(stderr).not.toContain('should match')
  })

  it.each([
    [{ gateway: { url: 'HTTPS://apim.example.com' } }, 'expected http(s)://host in lower case'],
    [{ gateway: { url: 'ftp://apim.example.com' } }, 'expected http(s)://host in lower case'],
    [{ gateway: { url: 'http://apim.example.com' } }, 'http:// requires allowInsecureHTTP: true'],
    [{ renewBefore: 'soon' }, 'expected a duration like 10s'],
    [{ renewBefore: '0s' }, 'must be more than 0'],
  ])('says what it expects of %j in one sentence, without a second error', async (field, expected) => {
    const spec = { ...minimalSpec, ...field }
    const { stderr } = await kubectl(['create', '-f', '-'], JSON.stringify({ ...named('refused'), spec }))
    expect(stderr).toContain(expected)
    expect(stderr.match(/Invalid value/g)).toHaveLength(1)
  })

  it('changes the status only through its subresource, and the spec only without it', async () => {
    await create('apart', minimalSpec)
    await harness().patchCredential(namespace, 'apart', { status: { tokenFingerprint: 'planted' } })
    expect((await harness().getCredential(namespace, 'apart')).status).toMatchObject({ observedGeneration: -1 })
    expect((await harness().getCredential(namespace, 'apart')).status).not.toHaveProperty('tokenFingerprint')
    await harness().admin.patch(
      credentials,
      { namespace, name: 'apart' },
      { type: 'merge', body: { spec: { suspend: true }, status: { tokenFingerprint: 'a1b2c3d4e5f6' } } },
      { subresource: 'status' },
    )
    const { metadata, spec, status } = await harness().getCredential(namespace, 'apart')
    expect({
      suspend: spec['suspend'],
      fingerprint: status?.tokenFingerprint,
      generation: metadata.generation,
    }).toEqual({
      suspend: false,
      fingerprint: 'a1b2c3d4e5f6',
      generation: 1,
    })
  })

  it('takes a status of as many sources, and keys of one source, as a spec can name', async () => {
    await create('sources', minimalSpec)
    const source = (keys: number): object => {
      return { name: 'app', uid: 'u', resourceVersion: '1', keys: [...Array(keys).keys()].map((at) => `key-${at}`) }
    }
    const patch = async (sources: readonly object[]): Promise<unknown> =>
      await harness().admin.patch(
        credentials,
        { namespace, name: 'sources' },
        { type: 'merge', body: { status: { sources } } },
        { subresource: 'status' },
      )
    await patch(Array(11).fill(source(11)) as object[])
    expect((await harness().getCredential(namespace, 'sources')).status?.sources[10]?.keys).toHaveLength(11)
    await expect(patch(Array(12).fill(source(1)) as object[])).rejects.toMatchObject({ code: 422 })
    await expect(patch([source(12)])).rejects.toMatchObject({ code: 422 })
  })
})

function named(name: string): object {
  return { apiVersion: 'enos.io/v1alpha1', kind: 'EnosAppCredential', metadata: { name }, spec: minimalSpec }
}

describe('kubectl', () => {
  beforeAll(async () => {
    await create('shown', fullSpec)
    const condition = (type: string, status: string, reason: string): object => {
      return { type, status, reason, message: 'm', lastTransitionTime: '2026-01-01T00:00:00Z' }
    }
    const status = {
      conditions: [condition('Ready', 'True', 'Synced'), condition('RenewalHealthy', 'False', 'GatewayError')],
      expiresAt: '2030-01-01T02:00:00Z',
      nextRenewalAt: '2030-01-01T01:36:00Z',
      targetNames: 'enos-token, shared',
    }
    await harness().admin.patch(
      credentials,
      { namespace, name: 'shown' },
      { type: 'merge', body: { status } },
      { subresource: 'status' },
    )
  })

  const columns = (text = ''): string[] => text.trim().split(/\s{2,}/)

  it('get shows conditions and times in one line', async () => {
    const [header, row] = (await kubectl(['get', 'enosappcredential', 'shown'])).stdout.split('\n')
    expect(columns(header)).toEqual(['NAME', 'READY', 'REASON', 'RENEWAL', 'EXPIRES', 'NEXT RENEWAL', 'AGE'])
    expect(columns(row).slice(0, -1)).toEqual([
      'shown',
      'True',
      'Synced',
      'False',
      '2030-01-01T02:00:00Z',
      '2030-01-01T01:36:00Z',
    ])
  })

  it('get -o wide also shows all targets and the gateway', async () => {
    const [header, row] = (await kubectl(['get', 'enosappcredential', 'shown', '-o', 'wide'])).stdout.split('\n')
    expect(columns(header).slice(6, 8)).toEqual(['TARGETS', 'GATEWAY'])
    expect(columns(row).slice(6, 8)).toEqual(['enos-token, shared', 'https://apim.example.com:8443/base/path'])
  })

  it('get -o wide also shows a deletion that waits, and the reasons of RenewalHealthy and Stalled', async () => {
    const [header, row] = (await kubectl(['get', 'enosappcredential', 'shown', '-o', 'wide'])).stdout.split('\n')
    expect(columns(header).slice(8, 11)).toEqual(['DELETED', 'RENEWAL REASON', 'STALLED'])
    expect(columns(row)[8]).toMatch(/GatewayError/)
  })

  it.each(['eac', 'enos', 'enosappcredentials.enos.io', 'EnosAppCredential'])(
    'get finds the resource as %s',
    async (name) => {
      expect((await kubectl(['get', name, '-o', 'name'])).stdout).toContain('enosappcredential.enos.io/shown')
    },
  )

  it('apply of the same manifest a second time changes nothing', async () => {
    const manifest = JSON.stringify(named('applied'))
    for (const how of [[], ['--server-side', '--force-conflicts']]) {
      await kubectl(['apply', '-f', '-', ...how], manifest)
      const { metadata } = await harness().getCredential(namespace, 'applied')
      await kubectl(['apply', '-f', '-', ...how], manifest)
      expect((await harness().getCredential(namespace, 'applied')).metadata).toEqual(metadata)
    }
  })

  it('explain describes fields, and lists their values and defaults', async () => {
    const { stdout } = await kubectl(['explain', 'enosappcredential.spec', '--recursive'])
    expect(stdout).toContain('renewBefore')
    const { stdout: field } = await kubectl(['explain', 'enosappcredential.spec.renewBefore'])
    expect(field).toContain('How long before expiry the token is renewed')
    const { stdout: list } = await kubectl(['explain', 'enosappcredential.spec.targets.creationPolicy'])
    expect(list).toMatch(/ENUM:\s+Owner\s+Merge/)
    expect(list).toContain('Default: Owner.')
  })
})

describe('the schema of the CRD', () => {
  interface Schema {
    readonly description?: string
    readonly properties?: Readonly<Record<string, Schema>>
    readonly items?: Schema
  }

  function withoutDescription(path: string, { items, properties = {} }: Schema): string[] {
    const below = Object.entries(properties).flatMap(([name, schema]) => {
      const field = `${path}.${name}`
      const own = schema.description === undefined && schema.items?.description === undefined ? [field] : []
      return [...own, ...withoutDescription(field, schema)]
    })
    return [...below, ...(items === undefined ? [] : withoutDescription(`${path}[]`, items))]
  }

  it('has a description for every field', () => {
    const crd = customResourceDefinition() as unknown as {
      spec: { versions: [{ schema: { openAPIV3Schema: { properties: Record<'spec' | 'status', Schema> } } }] }
    }
    const { spec, status } = crd.spec.versions[0].schema.openAPIV3Schema.properties
    expect([...withoutDescription('spec', spec), ...withoutDescription('status', status)]).toEqual([])
  })
})

describe('the ClusterRoles for users', () => {
  async function canI(user: string, ...what: string[]): Promise<boolean> {
    return (await kubectl(['auth', 'can-i', '--as', user, ...what])).stdout.trim() === 'yes'
  }

  beforeAll(async () => {
    for (const role of ['view', 'edit', 'admin']) {
      await kubectl(['create', 'rolebinding', role, `--clusterrole=${role}`, `--user=${role}or`])
    }
    // The controller aggregates our roles into the cluster's own roles a moment after their creation.
    for (const [user, verb] of Object.entries({ viewor: 'get', editor: 'create', adminor: 'create' })) {
      await eventually(async () => expect(await canI(user, verb, 'enosappcredentials')).toBe(true), 30_000)
    }
  })

  it.each(['get', 'list', 'watch'])('let view %s resources', async (verb) => {
    expect(await canI('viewor', verb, 'enosappcredentials')).toBe(true)
  })

  it.each(['create', 'update', 'patch', 'delete'])('let edit and admin %s resources, but not view', async (verb) => {
    expect(await canI('viewor', verb, 'enosappcredentials')).toBe(false)
    expect(await canI('editor', verb, 'enosappcredentials')).toBe(true)
    expect(await canI('adminor', verb, 'enosappcredentials')).toBe(true)
  })

  it.each(['viewor', 'editor', 'adminor'])('let %s read the status, but not write it', async (user) => {
    expect(await canI(user, 'get', 'enosappcredentials', '--subresource=status')).toBe(true)
    for (const verb of ['update', 'patch']) {
      expect(await canI(user, verb, 'enosappcredentials', '--subresource=status')).toBe(false)
    }
  })
})
