{{- define "enos-credential-operator.name" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end }}

{{- define "enos-credential-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains (include "enos-credential-operator.name" .) .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- /* Names of objects that end in a suffix, such as -leader-election, stay within 63 characters. */ -}}
{{- printf "%s-%s" .Release.Name (include "enos-credential-operator.name" .) | trunc 46 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "enos-credential-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "enos-credential-operator.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{- define "enos-credential-operator.leaseName" -}}
{{- .Values.leaderElection.leaseName | default (include "enos-credential-operator.fullname" .) -}}
{{- end }}

{{- define "enos-credential-operator.image" -}}
{{- with .Values.image.registry }}{{ . }}/{{ end -}}
{{- .Values.image.repository -}}
{{- if .Values.image.digest -}}
@{{ .Values.image.digest }}
{{- else -}}
:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- /* Immutable in a Deployment: no label that changes with a version or a value. */ -}}
{{- define "enos-credential-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "enos-credential-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Of objects that are not of this operator alone. */ -}}
{{- define "enos-credential-operator.releaseLabels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "enos-credential-operator.labels" -}}
app.kubernetes.io/name: {{ include "enos-credential-operator.name" . }}
{{ include "enos-credential-operator.releaseLabels" . }}
{{- end }}

{{- /* Whether to render a kind of the Prometheus operator: call with (list . values kind), compare with "true". */ -}}
{{- define "enos-credential-operator.hasMonitoringKind" -}}
{{- $root := index . 0 }}{{ $values := index . 1 }}{{ $kind := index . 2 -}}
{{- $isKnown := $root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" $kind) -}}
{{- if and (not $isKnown) (eq $values.renderMode "failIfMissing") -}}
{{- fail (printf "the cluster has no %s (monitoring.coreos.com/v1): install the Prometheus operator, or set renderMode to skipIfMissing or alwaysRender" $kind) -}}
{{- end -}}
{{- if or $isKnown (eq $values.renderMode "alwaysRender") }}true{{ end -}}
{{- end }}

{{- /* An endpoint of a ServiceMonitor or PodMonitor: call with (list . values). */ -}}
{{- define "enos-credential-operator.metricsEndpoint" -}}
{{- $root := index . 0 -}}
{{- with index . 1 -}}
port: metrics
path: /metrics
honorLabels: {{ .honorLabels }}
{{- if $root.Values.metrics.listen.secure.secretName }}
scheme: https
{{- with .tlsConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with .relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- /* What the schema cannot say. */ -}}
{{- define "enos-credential-operator.validate" -}}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.leaderElection.enabled) -}}
{{- fail "replicaCount: more than one replica needs leaderElection.enabled" -}}
{{- end -}}
{{- if and .Values.extraCA.configMap .Values.extraCA.secret -}}
{{- fail "extraCA: set configMap or secret, not both" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not (and .Values.metrics.enabled .Values.metrics.service.enabled)) -}}
{{- fail "serviceMonitor.enabled: needs metrics.enabled and metrics.service.enabled; without a Service use podMonitor" -}}
{{- end -}}
{{- if and .Values.podMonitor.enabled (not .Values.metrics.enabled) -}}
{{- fail "podMonitor.enabled: needs metrics.enabled" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- fail "podMonitor.enabled: every series would be scraped twice beside serviceMonitor.enabled" -}}
{{- end -}}
{{- end }}
