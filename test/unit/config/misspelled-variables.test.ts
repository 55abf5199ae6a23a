import { describe, expect, it } from 'vitest'
import { runFlags, variableOf } from '../../../src/config/flags.ts'
import { misspelledVariables } from '../../../src/config/misspelled-variables.ts'

const known = [...runFlags.map(({ name }) => variableOf(name)), 'ENOS_APP_KEY', 'ENOS_APP_SECRET']

describe('misspelledVariables', () => {
  it.each([
    ['ENOS_LOG_LEVLE', 'ENOS_LOG_LEVEL'],
    ['ENOS_LOGLEVEL', 'ENOS_LOG_LEVEL'],
    ['ENOS_LOG-LEVEL', 'ENOS_LOG_LEVEL'],
    ['ENOS_NAMESPACES', 'ENOS_NAMESPACE'],
    ['ENOS_ALLOWED_GATEWAY', 'ENOS_ALLOWED_GATEWAYS'],
    ['ENOS_LEADER_ELECTED', 'ENOS_LEADER_ELECT'],
    ['ENOS_APPKEY', 'ENOS_APP_KEY'],
  ])('takes %s for %s', (variable, nearest) => {
    expect(misspelledVariables(['HOME', variable], known)).toEqual([{ variable, nearest }])
  })

  it('says nothing of known variables', () => {
    expect(misspelledVariables(known, known)).toEqual([])
  })

  it.each(['ENOS_APP_ID', 'ENOS_TOKEN', 'ENOS_URL', 'ENOS_', 'ENOS_LOG_FILE', 'LOG_LEVLE', 'EENOS_LOG_LEVEL'])(
    'says nothing of %s, which an application may have',
    (variable) => {
      expect(misspelledVariables([variable], known)).toEqual([])
    },
  )

  it('says nothing of what Kubernetes sets for a Service, even of the name of a flag', () => {
    const ofService = (prefix: string): string[] => [
      `${prefix}_SERVICE_HOST`,
      `${prefix}_SERVICE_PORT`,
      `${prefix}_SERVICE_PORT_HTTP`,
      `${prefix}_PORT`,
      ...['', '_PROTO', '_PORT', '_ADDR'].map((suffix) => `${prefix}_PORT_80_TCP${suffix}`),
    ]
    const prefixes = [...known, 'ENOS_CREDENTIAL_OPERATOR', 'ENOS_CREDENTIAL_OPERATOR_METRICS', 'ENOS_APP', 'ENOS_LOG']
    expect(misspelledVariables(prefixes.flatMap(ofService), known)).toEqual([])
  })
})
