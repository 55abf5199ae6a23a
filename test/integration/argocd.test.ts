import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { argocdActions, argocdScript } from '../../tools/argocd.ts'
import { useGitOpsPrograms } from '../gitops/programs.ts'

const { canBuild, programs } = await useGitOpsPrograms()

interface HealthTests {
  readonly tests: readonly { healthStatus: { status: string; message: string }; inputPath: string }[]
}

interface Testdata {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> }
  readonly spec: object
}

interface ActionTests {
  readonly discoveryTests: readonly { inputPath: string; result: { name: string; disabled: boolean }[] }[]
  readonly actionTests: readonly { action: string; inputPath: string; expectedOutputPath: string }[]
}

const { tests } = parse(argocdScript('health_test.yaml')) as HealthTests
const ready = parse(argocdScript('testdata/ready.yaml')) as Testdata
const actions = parse(argocdScript('actions/action_test.yaml')) as ActionTests

describe.skipIf(!canBuild)('health.lua of Argo CD', () => {
  it.each(tests)('gives $healthStatus.status for $inputPath', async ({ healthStatus, inputPath }) => {
    const object = parse(argocdScript(inputPath)) as object
    expect(await programs().argoLua(argocdScript('health.lua'), object)).toEqual(healthStatus)
  })

  it('gives Progressing for a resource without a status', async () => {
    const object = { ...ready, status: undefined }
    expect(await programs().argoLua(argocdScript('health.lua'), object)).toMatchObject({ status: 'Progressing' })
  })
})

describe.skipIf(!canBuild)('the actions of Argo CD', () => {
  function resource(path: string): Testdata {
    return parse(argocdScript(`actions/${path}`)) as Testdata
  }

  async function act(name: string, object: Testdata): Promise<Testdata> {
    return (await programs().argoLua(argocdScript(`actions/${name}/action.lua`), object)) as Testdata
  }

  it.each(actions.discoveryTests)('are offered as $inputPath allows', async ({ inputPath, result }) => {
    const offered = await programs().argoLua(argocdScript('actions/discovery.lua'), resource(inputPath))
    expect(offered).toEqual(Object.fromEntries(result.map(({ disabled, name }) => [name, { disabled }])))
    expect(Object.keys(offered as object).sort()).toEqual([...argocdActions].sort())
  })

  it.each(actions.actionTests)('$action makes $expectedOutputPath of $inputPath', async (row) => {
    expect(await act(row.action, resource(row.inputPath))).toEqual(resource(row.expectedOutputPath))
  })

  it('renew sets the annotation to the present time and changes nothing else', async () => {
    const before = Date.now()
    const { metadata, ...rest } = await act('renew', ready)
    const { 'enos.io/renew-requested-at': time = '', ...annotations } = metadata.annotations ?? {}
    // Whole seconds.
    expect(Date.parse(time)).toBeGreaterThanOrEqual(Math.floor(before / 1000) * 1000)
    expect(Date.parse(time)).toBeLessThanOrEqual(Date.now())
    expect({ ...rest, metadata: { ...metadata, annotations } }).toEqual({
      ...ready,
      metadata: { ...ready.metadata, annotations: ready.metadata.annotations ?? {} },
    })
  })
})

describe('deploy/argocd/argocd-cm.yaml', () => {
  it('holds each script as Argo CD reads it', async () => {
    const text = await readFile(new URL('../../deploy/argocd/argocd-cm.yaml', import.meta.url), 'utf8')
    const { data } = parse(text) as { data: Record<string, string> }
    expect(data['resource.customizations.health.enos.io_EnosAppCredential']).toBe(argocdScript('health.lua'))
    const actions = parse(data['resource.customizations.actions.enos.io_EnosAppCredential'] ?? '') as {
      'discovery.lua': string
      definitions: { name: string; 'action.lua': string }[]
    }
    expect(actions['discovery.lua']).toBe(argocdScript('actions/discovery.lua'))
    expect(actions.definitions).toEqual(
      argocdActions.map((name) => ({ name, 'action.lua': argocdScript(`actions/${name}/action.lua`) })),
    )
  })
})
