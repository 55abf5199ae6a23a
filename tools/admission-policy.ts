import { group, kind, plural, version } from '../src/api/v1alpha1/names.ts'

/**
 * Prevents a confused deputy: the operator uses its own rights on names that users choose, so a user who changes a spec
 * must have the same rights on those names.
 *
 * Generated, because the cost limits of CEL allow two authorizer checks in an expression and about 28 in a policy: each
 * list entry has its own expression, and headers and consumers have their own policies.
 */
export function admissionPolicies(): object[] {
  return [
    ...policy('enosappcredential-secrets', [
      check('spec.appKeyRef.name', 'get', 'secrets', { name: 'object.spec.appKeyRef.name' }),
      check('spec.appSecretRef.name', 'get', 'secrets', { name: 'object.spec.appSecretRef.name' }),
      check('spec.gateway.caRef.name', 'get', 'secrets', {
        name: 'object.spec.gateway.caRef.name',
        unless: "!has(object.spec.gateway.caRef) || object.spec.gateway.caRef.kind != 'Secret'",
      }),
      check('spec.gateway.caRef.name', 'get', 'configmaps', {
        name: 'object.spec.gateway.caRef.name',
        unless: "!has(object.spec.gateway.caRef) || object.spec.gateway.caRef.kind != 'ConfigMap'",
      }),
      check('spec.targets', 'create', 'secrets', {
        unless: "object.spec.targets.all(target, has(target.creationPolicy) && target.creationPolicy == 'Merge')",
      }),
      ...indexes(targetLimit).map((at) =>
        check(`spec.targets[${at}].name`, 'patch', 'secrets', {
          name: `object.spec.targets[${at}].name`,
          unless: `object.spec.targets.size() <= ${at}`,
        }),
      ),
    ]),
    ...policy(
      'enosappcredential-headers',
      indexes(headerLimit).map((at) => headerCheck(at)),
    ),
    ...policy('enosappcredential-consumers', [
      check('spec.propagation', 'patch', 'pods', { unless: "object.spec.propagation != 'Immediate'" }),
      ...indexes(workloadLimit).map((at) => workloadCheck(at)),
    ]),
  ]
}

const headerLimit = 8
const targetLimit = 16
const workloadLimit = 16

function indexes(count: number): number[] {
  return [...Array(count).keys()]
}

function policy(name: string, validations: object[]): object[] {
  const metadata = { name, labels: { 'app.kubernetes.io/name': 'enos-credential-operator' } }
  const apiVersion = 'admissionregistration.k8s.io/v1'
  return [
    {
      apiVersion,
      kind: 'ValidatingAdmissionPolicy',
      metadata,
      spec: {
        failurePolicy: 'Fail',
        // With all defaults of the API server, or tools that compare plain JSON see a difference for ever.
        matchConstraints: {
          matchPolicy: 'Equivalent',
          namespaceSelector: {},
          objectSelector: {},
          resourceRules: [
            {
              apiGroups: [group],
              apiVersions: [version],
              resources: [plural],
              operations: ['CREATE', 'UPDATE'],
              scope: '*',
            },
          ],
        },
        // Changes of metadata pass: the renewal annotation, finalizers.
        matchConditions: [{ name: 'spec-changes', expression: 'oldObject == null || object.spec != oldObject.spec' }],
        validations,
      },
    },
    {
      apiVersion,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata,
      spec: { policyName: name, validationActions: ['Deny'] },
    },
  ]
}

interface CheckOptions {
  /** CEL of the object's name. Default: the right on all names. */
  readonly name?: string
  /** CEL; true: no check. */
  readonly unless?: string
}

function check(field: string, verb: string, resource: string, { name, unless }: CheckOptions): object {
  const named = name === undefined ? '' : `.name(${name})`
  const asked = `authorizer.group('').resource('${resource}').namespace(object.metadata.namespace)${named}.check('${verb}').allowed()`
  const what = name === undefined ? `'${resource}'` : `'${resource} ' + ${name}`
  return {
    expression: unless === undefined ? asked : `${unless} || ${asked}`,
    messageExpression: `'${field}: you may not ${verb} ' + ${what} + ' in this namespace, so ${kind} may not do it for you'`,
    reason: 'Forbidden',
  }
}

function headerCheck(at: number): object {
  const headers = 'object.spec.gateway.headersFrom'
  return check(`spec.gateway.headersFrom[${at}].secretKeyRef.name`, 'get', 'secrets', {
    name: `${headers}[${at}].secretKeyRef.name`,
    unless: `!has(${headers}) || ${headers}.size() <= ${at}`,
  })
}

function workloadCheck(at: number): object {
  const workload = `object.spec.restartOnRenewal[${at}]`
  return {
    expression:
      `!has(object.spec.restartOnRenewal) || object.spec.restartOnRenewal.size() <= ${at} || ` +
      `authorizer.group('apps').resource(${workload}.kind.lowerAscii() + 's').namespace(object.metadata.namespace)` +
      `.name(${workload}.name).check('patch').allowed()`,
    messageExpression: `'spec.restartOnRenewal[${at}]: you may not patch ' + ${workload}.kind + ' ' + ${workload}.name + ' in this namespace, so ${kind} may not do it for you'`,
    reason: 'Forbidden',
  }
}
