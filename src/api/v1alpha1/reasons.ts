/** What a reason means and what to do about it; the reference is generated from here. */
interface ReasonText {
  /** `token`: the sources, the gateway or the token. `spec`: without a valid one no token is asked for. */
  readonly about: 'token' | 'targets' | 'spec' | 'consumers'
  readonly meaning: string
  readonly whatToDo: string
}

/** Every reason that conditions and events carry. */
export const reasons = {
  Synced: {
    about: 'token',
    meaning: 'Every target holds a valid token; the last attempt to renew it worked.',
    whatToDo: 'Nothing.',
  },
  Renewed: {
    about: 'token',
    meaning: 'The token is renewed again after failures.',
    whatToDo: 'Nothing.',
  },
  WaitingForToken: {
    about: 'token',
    meaning: 'The operator asks the gateway for a token.',
    whatToDo: 'Wait some seconds; if it stays, look at RenewalHealthy.',
  },
  Suspended: {
    about: 'token',
    meaning: '`spec.suspend` is true.',
    whatToDo: 'Set it to false to have the token renewed again.',
  },
  TokenExpired: {
    about: 'token',
    meaning: 'The token on the targets has expired.',
    whatToDo: 'The message says why it was not renewed; see the reason of RenewalHealthy.',
  },
  SourceSecretNotFound: {
    about: 'token',
    meaning:
      'A Secret that `appKeyRef` or `appSecretRef` names does not exist; or the Secret or ConfigMap of `caRef` or `headersFrom`.',
    whatToDo: 'Create it in the namespace of the resource, or correct the name.',
  },
  WaitingForConfigMaps: {
    about: 'token',
    meaning: 'ConfigMaps are not synced yet, so the one that `caRef` names cannot be found.',
    whatToDo:
      'Wait some seconds; if it stays, let the operator list and watch ConfigMaps. Its log says what was refused.',
  },
  SourceKeyMissing: {
    about: 'token',
    meaning:
      'The key does not exist in the source, or its value is empty, not UTF-8 text, or cannot be sent as a header.',
    whatToDo: 'Store a value under the key, or name the right one in `key`.',
  },
  SourceForbidden: {
    about: 'token',
    meaning: 'The source Secret may not be used: the operator may not read it, or it is a service-account token.',
    whatToDo: 'Use a Secret of type Opaque, and check the RBAC of the operator in this namespace.',
  },
  SourceTrimmed: {
    about: 'token',
    meaning: 'A source value ended in newlines; they were trimmed.',
    whatToDo: 'Create the Secret without them: `kubectl create secret generic … --from-literal` or `printf %s`.',
  },
  AppKeyNotFound: {
    about: 'token',
    meaning: 'The gateway does not know the appKey (1002).',
    whatToDo: 'Check the appKey, and that the gateway is the one where the application is registered.',
  },
  InvalidAppSecret: {
    about: 'token',
    meaning: 'The gateway refuses the signature (1003): the appSecret does not belong to the appKey.',
    whatToDo: 'Correct the appSecret in the source Secret; a change is used within a second.',
  },
  GatewayUnreachable: {
    about: 'token',
    meaning: 'The gateway did not answer: DNS, connection, TLS or timeout; the message has the cause.',
    whatToDo: 'Check `spec.gateway.url`, network policies and certificates. It is retried.',
  },
  GatewayError: {
    about: 'token',
    meaning: 'The gateway answered with an error of its own (1005, HTTP 429 or 5xx, or a refresh that failed).',
    whatToDo: 'Nothing, if it passes; it is retried. Otherwise ask the operators of the gateway.',
  },
  GatewayRejected: {
    about: 'token',
    meaning: 'The gateway refused the request (1001, 1004, 1202, or HTTP 4xx).',
    whatToDo: 'Check that appKey and appSecret are whole, and that the clocks of node and gateway agree.',
  },
  GatewayNotAllowed: {
    about: 'token',
    meaning: 'The operator was started with `--allowed-gateways`, and this host is not among them. Nothing was sent.',
    whatToDo: 'Use an allowed gateway, or have the platform engineer allow this one.',
  },
  UnexpectedReply: {
    about: 'token',
    meaning: 'The reply is not one of the token service: HTML, a redirect, HTTP 404, other fields.',
    whatToDo: 'Check host, port and base path of `spec.gateway.url`.',
  },
  RefreshNotSupported: {
    about: 'token',
    meaning: 'The gateway has no refresh (HTTP 404 or 405).',
    whatToDo: 'Nothing with `renewalMethod` Auto or Get: a new token is fetched as the old one expires.',
  },
  RenewBeforeClamped: {
    about: 'token',
    meaning: '`spec.renewBefore` is more than half of the lifetime of a token; half is used.',
    whatToDo: 'Set a smaller one, or leave it out.',
  },
  TargetConflict: {
    about: 'targets',
    meaning:
      'A Secret with the name of a target already exists, is not owned by this resource, and cannot be adopted. The operator does not touch it.',
    whatToDo:
      'If it belongs to another EnosAppCredential, name another target. Otherwise delete it, name another target, or, if it has the type of the target and is not immutable, annotate it with `enos.io/adopt: <name of the resource>` to hand it over with its data.',
  },
  TargetAdopted: {
    about: 'targets',
    meaning:
      'A target has taken over a Secret that carried the labels of this resource (restored, orphaned or retained) or was annotated with `enos.io/adopt`. The event names the keys that were removed.',
    whatToDo: 'Nothing.',
  },
  TargetContested: {
    about: 'targets',
    meaning:
      'Another writer keeps changing or deleting a target. The operator corrects it at most 3 times a minute at once, then after 2 s, doubling to 5 min; it writes a new token at once.',
    whatToDo: 'Stop the writer that the message names from managing the Secret, or name another target.',
  },
  TargetAltered: {
    about: 'targets',
    meaning:
      'The API server stored a target otherwise than it was written: an admission webhook or policy alters it. The operator does not fight that.',
    whatToDo: 'Exempt the Secret from that webhook or policy, or name another target.',
  },
  TokenNotUsed: {
    about: 'targets',
    meaning:
      'No template of a target uses `accessToken`, so its Secret holds no token. It is written all the same. Ready is False if no target holds the token, else the message of Ready names the targets without.',
    whatToDo: 'Use `{{ accessToken }}` in `spec.targets[].data`, or leave `data` out: then the Secret has the token.',
  },
  TargetMissing: {
    about: 'targets',
    meaning: 'A target with `creationPolicy: Merge` does not exist.',
    whatToDo: 'Create the Secret; the operator adds its keys and leaves all others alone.',
  },
  TargetWriteFailed: {
    about: 'targets',
    meaning: 'The API server refused to write a target; the message says how.',
    whatToDo: 'Correct the field that is named; with HTTP 403 check the RBAC of the operator and quotas.',
  },
  KeysLeftBehind: {
    about: 'targets',
    meaning: 'Keys of the resource stay in a Secret that was made immutable: they cannot be removed.',
    whatToDo: 'Delete that Secret if it is no longer needed; the token in it expires.',
  },
  TemplateError: {
    about: 'spec',
    meaning: 'A template in `spec.targets[].data` cannot be used.',
    whatToDo: 'Correct the variable, filter or syntax that the message names.',
  },
  InvalidSpec: {
    about: 'spec',
    meaning: 'The spec is not valid, though the API server accepted it: the installed CRD may have another version.',
    whatToDo: 'Apply the CRD of this version of the operator, then correct what the message names.',
  },
  InvalidCA: {
    about: 'token',
    meaning:
      'The value that `spec.gateway.caRef` names is not a PEM certificate, or one of its certificates is invalid.',
    whatToDo: 'Store the certificates of the CAs there, each between BEGIN CERTIFICATE and END CERTIFICATE.',
  },
  Propagated: {
    about: 'consumers',
    meaning: 'The present token was propagated to running consumers (`propagation: Immediate`, `restartOnRenewal`).',
    whatToDo: 'Nothing.',
  },
  ConsumersNeedRestart: {
    about: 'consumers',
    meaning:
      'Running pods hold an older token or none: they read it from their environment, by subPath or in an init container, or their workload does not replace its pods (paused, `OnDelete`, a partition, a template that another controller resets, a rollout that does not finish).',
    whatToDo:
      'Mount the Secret as a volume without subPath, or name the workload in `restartOnRenewal`; where the message names a workload that was to be restarted, resume it or delete its pods.',
  },
  WorkloadNotFound: {
    about: 'consumers',
    meaning: 'A workload that `restartOnRenewal` names does not exist.',
    whatToDo: 'Correct kind or name, or create the workload; it is looked for again within 5 minutes.',
  },
  PropagationForbidden: {
    about: 'consumers',
    meaning:
      'The API server refuses to let the operator annotate pods or restart workloads: the permission is missing (it is off by default), or an admission webhook or policy, which the message names, denies the request.',
    whatToDo:
      'Missing permission: install `deploy/components/consumers` (`deploy/components/consumers/namespaced` for one namespace), or set the chart’s `consumers.propagation` or `consumers.restarts` to true, or use neither `propagation: Immediate` nor `restartOnRenewal`. Webhook or policy: have it allow the request. It is tried again within 5 minutes, and after a restart of the operator with the next token.',
  },
  PropagationFailed: {
    about: 'consumers',
    meaning: 'The token could not be propagated to running consumers: calls to the API server failed.',
    whatToDo: 'Nothing, if it passes; it is retried.',
  },
} as const satisfies Record<string, ReasonText>

export type Reason = keyof typeof reasons

/**
 * RenewalHealthy while a problem with this reason lasts. Undefined: the renewal is not concerned, and Ready or Propagated
 * reports the problem.
 */
export function renewalStatusFor(reason: string): 'False' | 'Unknown' | undefined {
  const known: Readonly<Record<string, ReasonText>> = reasons
  switch (known[reason]?.about) {
    case 'token':
      return 'False'
    case 'spec':
      return 'Unknown'
    default:
      return undefined
  }
}
