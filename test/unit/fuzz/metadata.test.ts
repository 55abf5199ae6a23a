import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseCredential, parseMetadata } from '../../../src/observe/parse-object.ts'
import { marker } from '../../support/builders.ts'

const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constant(''))
/** As kubectl apply leaves it on a Secret: with its data. */
const applied = 'kubectl.kubernetes.io/last-applied-configuration'
const annotations = fc.dictionary(
  fc.oneof(
    fc.constantFrom(
      'enos.io/renew-requested-at',
      'enos.io/adopt',
      'enos.io/credential',
      'enos.io/credential-uid',
      applied,
      '__proto__',
    ),
    fc.string(),
  ),
  fc.oneof(text, fc.constant('x'.repeat(2000))),
)
const labels = fc.dictionary(
  fc.constantFrom('app.kubernetes.io/managed-by', 'enos.io/credential', 'app'),
  fc.oneof(text, fc.constantFrom('enos-credential-operator', 'wind-farm')),
)
const owners = fc.array(
  fc.record({
    apiVersion: text,
    kind: fc.constantFrom('EnosAppCredential', 'Deployment', ''),
    name: text,
    uid: text,
    controller: fc.boolean(),
  }),
  { maxLength: 3 },
)
const managedFields = fc.array(
  fc.record({
    manager: text,
    time: fc.oneof(text, fc.constant('2026-01-01T00:00:00Z')),
    fieldsV1: fc.dictionary(fc.string(), fc.jsonValue() as fc.Arbitrary<unknown>),
  }),
  { maxLength: 3 },
)
const metadata = fc.record(
  {
    name: text,
    namespace: text,
    uid: text,
    resourceVersion: text,
    annotations,
    labels,
    ownerReferences: owners,
    managedFields,
  },
  { requiredKeys: [] },
)

it('whatever metadata a Secret has, what is kept of it is small and holds nothing of its annotations but our own', () => {
  fc.assert(
    fc.property(metadata, (given) => {
      const annotated = { ...given, annotations: { ...given.annotations, [applied]: `{"data":"${marker.appSecret}"}` } }
      const kept = parseMetadata({ metadata: annotated })
      const { handedTo, ...rest } = kept
      // Other Secrets, of which a cluster may have 50,000, take no memory for it.
      const isMarked =
        given.annotations?.['enos.io/adopt'] !== undefined ||
        given.labels?.['app.kubernetes.io/managed-by'] === 'enos-credential-operator'
      if (!isMarked) expect(Object.hasOwn(kept, 'handedTo')).toBe(false)
      for (const name of [handedTo?.byLabels, handedTo?.byAnnotation]) {
        expect((name ?? '').length).toBeLessThanOrEqual(253)
      }
      expect(Object.keys(rest).sort()).toEqual(
        [
          'controllerUid',
          'isControlledByCredential',
          'isDeleting',
          'name',
          'namespace',
          'resourceVersion',
          'retainedFor',
          'uid',
          'writtenAtWall',
        ].sort(),
      )
      expect(kept.writtenAtWall === undefined || Number.isFinite(kept.writtenAtWall)).toBe(true)
      expect(JSON.stringify(kept)).not.toContain(marker.appSecret)
    }),
    { numRuns: 2000 },
  )
})

it('whatever a resource asks for by its annotation, it can be repeated in the status', () => {
  fc.assert(
    fc.property(metadata, fc.jsonValue(), fc.jsonValue(), (given, spec, status) => {
      const { renewRequest } = parseCredential({ metadata: given, spec, status })
      const asked = given.annotations?.['enos.io/renew-requested-at']
      expect(renewRequest === undefined).toBe(asked === undefined)
      expect((renewRequest ?? '').length).toBeLessThanOrEqual(1024)
      if (asked !== undefined && asked.length <= 1024) expect(renewRequest).toBe(asked)
    }),
    { numRuns: 2000 },
  )
})
