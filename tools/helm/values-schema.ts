import { z } from 'zod'
import { logFormats, logLevels } from '../../src/lib/log.ts'
import { imageName } from '../published.ts'
import { monitorValues, networkPolicyValues } from './optional-values.ts'
import { anyObject, list, object, port, resourceName, stringMap, switchValue, value } from './values.ts'

/**
 * The single source of the chart's values: tools/generate.ts makes values.yaml, values.schema.json and
 * docs/reference/values.md of it. The names are those of the charts of cert-manager and external-secrets.
 */

const imageValues = object('The image of the operator.', {
  registry: value(z.string(), '', 'Registry, with its port; empty: it is part of `repository`.'),
  repository: value(z.string().min(1), imageName, 'Repository, without tag and digest.'),
  tag: value(z.string().max(128), '', "Tag; empty: the chart's appVersion."),
  digest: value(
    z.string().regex(/^(sha256:[0-9a-f]{64})?$/),
    '',
    'Digest, `sha256:…`. With a digest the tag is left out, and the image cannot change under its name.',
  ),
  pullPolicy: value(z.enum(['Always', 'IfNotPresent', 'Never']), 'IfNotPresent', 'When the kubelet pulls the image.'),
})

const installValues = {
  global: z
    .looseObject({ imagePullSecrets: list('Pull secrets beside `imagePullSecrets`, as `- name: …`.') })
    .prefault({})
    .describe('Values that a parent chart shares with all its charts; others than these are ignored.'),
  enabled: z
    .boolean()
    .optional()
    .describe('Read by a parent chart only, as the condition of the dependency. No default.'),
  nameOverride: value(resourceName(40), '', 'Replaces the name of the chart in names and labels.'),
  fullnameOverride: value(
    resourceName(40),
    '',
    'Name of the objects. Default: the name of the release, with that of the chart if it is not in it.',
  ),
  commonLabels: stringMap('Labels of all objects.'),
  crds: object('The CustomResourceDefinition.', {
    enabled: switchValue(true, 'Install the CRD, and upgrade it with the release.'),
    keep: switchValue(
      true,
      'Keep the CRD when the release is uninstalled. Without the CRD all resources and the Secrets that they own are deleted.',
    ),
  }),
  image: imageValues,
  imagePullSecrets: list('Pull secrets, as `- name: …`.'),
  replicaCount: value(
    z.int().min(0).max(10),
    2,
    'Number of pods. One leads, the others take over within seconds when it is lost.',
  ),
  leaderElection: object('Leader election by a Lease in the namespace of the release.', {
    enabled: switchValue(true, 'Elect a leader. Needed for more than one replica.'),
    leaseName: value(
      resourceName(63),
      '',
      'Name of the Lease. Default: the name of the Deployment. Installs with the same name stand by for each other.',
    ),
  }),
} as const

const operatorValues = {
  namespaces: value(
    z.array(resourceName(63).min(1)).max(100),
    [],
    'Namespaces to work in, with a Role in each and no ClusterRole. Empty: all, with a ClusterRole.',
  ),
  consumers: object('Permissions that tell running pods of a new token, off by default.', {
    propagation: switchValue(false, 'Permission to list and patch pods, for `propagation: Immediate`.'),
    restarts: switchValue(false, 'Permission to get and patch workloads, for `restartOnRenewal`.'),
  }),
  rbac: object('Roles.', {
    create: switchValue(true, "Create the operator's roles and bindings."),
    aggregateClusterRoles: switchValue(
      true,
      "Let the cluster's roles view, edit and admin include EnosAppCredentials. Installed once in a cluster.",
    ),
    mergeCleanup: switchValue(
      false,
      'With `namespaces`: a ClusterRole to remove finalizers also in a namespace that is being deleted, where the RoleBinding may go first.',
    ),
  }),
  admissionPolicy: object('The ValidatingAdmissionPolicies.', {
    enabled: switchValue(
      true,
      "Limit a user's EnosAppCredentials to the user's own rights on Secrets, pods and workloads. Installed once in a cluster.",
    ),
  }),
  allowedGateways: value(
    z.array(z.string().min(1)).max(100),
    [],
    'Gateways that may be called: `host[:port]`, `*.` for one or more labels. Empty: any.',
  ),
  log: object('The log.', {
    level: value(z.enum(logLevels), 'info', 'Minimum level of log lines.'),
    format: value(z.enum(logFormats), 'json', 'Format of log lines.'),
  }),
  proxy: object('Proxies for calls to gateways. For an address with a password use `extraEnv` with a Secret.', {
    httpProxy: value(z.string(), '', '`HTTP_PROXY`, for http:// only.'),
    httpsProxy: value(z.string(), '', '`HTTPS_PROXY`, for https://.'),
    noProxy: value(z.string(), '', '`NO_PROXY`: names, suffixes, addresses and networks, separated by commas.'),
  }),
  extraCA: object(
    "CA certificates (PEM) trusted beside the system's, in the namespace of the release. Restart the pods after a change.",
    {
      configMap: value(resourceName(253), '', 'Name of a ConfigMap.'),
      secret: value(resourceName(253), '', 'Name of a Secret, in place of a ConfigMap.'),
      key: value(z.string().min(1), 'ca.crt', 'Key of the certificates.'),
    },
  ),
  serviceAccount: object('The ServiceAccount. Its token is projected into the pod, never mounted automatically.', {
    create: switchValue(true, 'Create it.'),
    name: value(resourceName(63), '', 'Name. Default: the name of the Deployment; without `create`: `default`.'),
    annotations: stringMap('Annotations.'),
  }),
} as const

const podValues = {
  resources: value(
    anyObject(),
    { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '256Mi' } },
    'Requests and limits. Node.js keeps its heap below 60 % of the memory limit.',
  ),
  strategy: value(
    anyObject(),
    { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    'Strategy of the Deployment. `rollingUpdate` is left out with another type.',
  ),
  revisionHistoryLimit: value(z.int().min(0), 3, 'Number of old ReplicaSets to keep.'),
  terminationGracePeriodSeconds: value(z.int().min(0), 30, 'Seconds for a pod to end.'),
  podDisruptionBudget: object('The PodDisruptionBudget, for more than one replica.', {
    enabled: switchValue(true, 'Create it when `replicaCount` is more than 1.'),
    minAvailable: z
      .union([z.int().min(0), z.string()])
      .optional()
      .describe('Number or percentage of pods that must stay. Replaces `maxUnavailable`. No default.'),
    maxUnavailable: value(
      z.union([z.int().min(0), z.string()]),
      1,
      'Number or percentage of pods that a drain may take at once.',
    ),
  }),
  topologySpreadConstraints: list('Topology spread constraints. One without labelSelector gets that of the pods.'),
  priorityClassName: value(z.string(), '', 'Priority class.'),
  affinity: value(anyObject(), {}, 'Affinity.'),
  tolerations: list('Tolerations.'),
  nodeSelector: stringMap('Labels that the node must have.'),
  podSecurityContext: value(
    anyObject(),
    { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    'Security context of the pod. The default keeps Pod Security `restricted`.',
  ),
  securityContext: value(
    anyObject(),
    { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
    'Security context of the container. The default keeps Pod Security `restricted`.',
  ),
  hostNetwork: switchValue(
    false,
    "Use the node's network. Pod Security `restricted` refuses it, and replicas on one node need ports of their own.",
  ),
  dnsPolicy: value(
    z.enum(['', 'ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None']),
    '',
    'DNS policy. Default: ClusterFirst, with `hostNetwork` ClusterFirstWithHostNet.',
  ),
  dnsConfig: value(anyObject(), {}, 'DNS parameters, such as nameservers and options.'),
  deploymentAnnotations: stringMap('Annotations of the Deployment.'),
  podAnnotations: stringMap('Annotations of the pods.'),
  podLabels: stringMap('Labels of the pods.'),
  extraArgs: value(z.array(z.string()), [], 'More flags of `run`, such as `--watch-label-selector=shard=a`.'),
  extraEnv: list('More environment variables of the container.'),
  extraVolumes: list('More volumes of the pod.'),
  extraVolumeMounts: list('More volume mounts of the container.'),
} as const

export const valuesSchema = z.strictObject({
  ...installValues,
  ...operatorValues,
  ...podValues,
  healthProbe: object('The probes.', { port: port(8081, 'Port of /healthz and /readyz.') }),
  metrics: object('Metrics.', {
    enabled: switchValue(true, 'Serve /metrics.'),
    listen: object('Where the pod serves them.', {
      port: port(8080, 'Port of /metrics in the pod.'),
      secure: object('TLS.', {
        secretName: value(
          resourceName(253),
          '',
          'Name of a Secret with `tls.crt` and `tls.key`, read again when they change. Empty: plain HTTP.',
        ),
      }),
    }),
    service: object('The Service of /metrics.', {
      enabled: switchValue(true, 'Create it.'),
      port: port(8080, 'Port of the Service.'),
      annotations: stringMap('Annotations.'),
    }),
  }),
  ...monitorValues,
  networkPolicy: networkPolicyValues,
  extraObjects: value(
    z.array(z.union([z.string(), z.record(z.string(), z.unknown())])),
    [],
    'More objects of the release: maps, or texts; both are templates.',
  ),
})
