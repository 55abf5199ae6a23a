{{- /* The command line. A flag that has its default is left out: it would win over the variable of extraEnv. */ -}}
{{- define "enos-credential-operator.args" -}}
- run
{{- if not .Values.leaderElection.enabled }}
- --leader-elect=false
{{- else if ne (include "enos-credential-operator.leaseName" .) "enos-credential-operator" }}
- --leader-elect-lease-name={{ include "enos-credential-operator.leaseName" . }}
{{- end }}
{{- if not .Values.metrics.enabled }}
- --metrics-bind-address=0
{{- else if ne (int .Values.metrics.listen.port) 8080 }}
- --metrics-bind-address=:{{ .Values.metrics.listen.port }}
{{- end }}
{{- if .Values.metrics.listen.secure.secretName }}
- --metrics-tls-cert-file=/etc/enos-credential-operator/metrics-tls/tls.crt
- --metrics-tls-key-file=/etc/enos-credential-operator/metrics-tls/tls.key
{{- end }}
{{- if ne (int .Values.healthProbe.port) 8081 }}
- --health-probe-bind-address=:{{ .Values.healthProbe.port }}
{{- end }}
{{- range .Values.allowedGateways }}
- {{ printf "--allowed-gateways=%s" . | quote }}
{{- end }}
{{- if ne .Values.log.level "info" }}
- --log-level={{ .Values.log.level }}
{{- end }}
{{- if ne .Values.log.format "json" }}
- --log-format={{ .Values.log.format }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{- define "enos-credential-operator.env" -}}
{{- if eq (join "," .Values.namespaces) .Release.Namespace }}
- name: ENOS_NAMESPACE
  valueFrom:
    fieldRef:
      apiVersion: v1
      fieldPath: metadata.namespace
{{- else if .Values.namespaces }}
- name: ENOS_NAMESPACE
  value: {{ join "," .Values.namespaces }}
{{- end }}
{{- with .Values.proxy.httpProxy }}
- name: HTTP_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with .Values.proxy.httpsProxy }}
- name: HTTPS_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with .Values.proxy.noProxy }}
- name: NO_PROXY
  value: {{ . | quote }}
{{- end }}
{{- if or .Values.extraCA.configMap .Values.extraCA.secret }}
- name: NODE_EXTRA_CA_CERTS
  value: /etc/enos-credential-operator/ca/{{ .Values.extraCA.key }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
