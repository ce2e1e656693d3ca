{{- define "haat.labels" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/part-of: haat
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- end }}

{{- define "haat.selector" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* Reference of an image: root, image (registry, repository, tag, digest), own (Haat's: global.imageTag and the chart's version count). */}}
{{- define "haat.image" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry }}
{{- $tag := .image.tag }}
{{- if .own }}{{ $tag = .root.Values.global.imageTag | default .image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- if $registry }}{{ $registry }}/{{ end }}{{ .image.repository }}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ $tag }}{{ end }}
{{- end }}

{{/* Replicas of a service that may have several: ha.enabled raises them to ha.replicas. */}}
{{- define "haat.replicas" -}}
{{- if .root.Values.ha.enabled }}{{ max (int .section.replicas) (int .root.Values.ha.replicas) }}{{ else }}{{ int .section.replicas }}{{ end }}
{{- end }}

{{/* Yes for a service whose replicas the operators write (capacity): root, component, section. */}}
{{- define "haat.scaledForSales" -}}
{{- if and (hasKey (.root.Values.capacity | default dict) .component) (gt (int (include "haat.replicas" .)) 0) }}yes{{ end }}
{{- end }}

{{/* The platform file's `capacity`: what stands without a sale is the replicas of the service's own section. */}}
{{- define "haat.capacity" -}}
{{- $found := dict }}
{{- range $name, $limits := .Values.capacity }}
{{- $c := dict "root" $ "component" $name "section" (index $.Values $name) }}
{{- if include "haat.scaledForSales" $c }}
{{- $least := int (include "haat.replicas" $c) }}
{{- if gt $least (int $limits.max) }}
{{- fail (printf "capacity.%s.max is %d, below the %d replicas of %s" $name (int $limits.max) $least $name) }}
{{- end }}
{{- $_ := set $found $name (dict "rpsPerReplica" (int $limits.rpsPerReplica) "min" $least "max" (int $limits.max) "autoscaler" $limits.autoscaler) }}
{{- end }}
{{- end }}
{{- toYaml $found }}
{{- end }}

{{- define "haat.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "haat.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* What every pod takes from its section of the values: root, component, section, priority (default class: control or service). */}}
{{- define "haat.placement" -}}
{{- with .root.Values.global.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- $class := .section.priorityClassName }}
{{- if and (not $class) (include "haat.ownPriorities" .root) }}{{ $class = printf "%s-%s" .root.Release.Name .priority }}{{ end }}
{{- with $class }}
priorityClassName: {{ . }}
{{- end }}
{{- with .section.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .section.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .section.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .section.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml .section.topologySpreadConstraints | nindent 2 }}
{{- else if .root.Values.ha.enabled }}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "haat.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "haat.ownPriorities" -}}
{{- if or .Values.ha.enabled .Values.priorityClasses.create }}yes{{ end }}
{{- end }}

{{- define "haat.balloons" -}}
{{- if or (eq .Values.rbac.scope "cluster") (include "haat.ownPriorities" .) }}yes{{ end }}
{{- end }}

{{- define "haat.podLabels" -}}
{{- include "haat.labels" . }}
{{- with .section.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Where Redis is: a Secret of the user's, one made from redis.external.url, or the chart's own server. */}}
{{- define "haat.redisSecret" -}}
{{- with .Values.redis.external }}{{ if .existingSecret }}{{ .existingSecret }}{{ else if .url }}haat-redis{{ end }}{{ end }}
{{- end }}

{{- define "haat.postgresSecret" -}}
{{- with .Values.postgres.external }}{{ if .existingSecret }}{{ .existingSecret }}{{ else if .url }}haat-postgres{{ end }}{{ end }}
{{- end }}

{{- define "haat.identityEnv" -}}
- { name: POD_IP, valueFrom: { fieldRef: { fieldPath: status.podIP } } }
- { name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
- { name: POD_NAMESPACE, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
- { name: HAAT_LISTEN_PORT, value: "8080" }
{{- if include "haat.redisSecret" .root }}
- { name: HAAT_REDIS_URL, valueFrom: { secretKeyRef: { name: {{ include "haat.redisSecret" .root }}, key: {{ .root.Values.redis.external.existingSecretKey }} } } }
{{- else }}
- { name: HAAT_REDIS_URL, value: "redis://$(REDIS_SERVICE_HOST):$(REDIS_SERVICE_PORT)/0" }
{{- end }}
{{- end }}

{{- define "haat.jwksEnv" -}}
- { name: HAAT_AUTH_JWKS, valueFrom: { configMapKeyRef: { name: haat-auth, key: jwks } } }
{{- end }}

{{/* Whose X-Forwarded-For is believed: access rules look at viewers' addresses. */}}
{{- define "haat.proxiesEnv" -}}
- { name: HAAT_TRUSTED_PROXIES, value: {{ join "," .Values.ingress.trustedProxies | quote }} }
{{- end }}

{{- define "haat.databaseEnv" -}}
{{- if include "haat.postgresSecret" . }}
- { name: HAAT_DATABASE_URL, valueFrom: { secretKeyRef: { name: {{ include "haat.postgresSecret" . }}, key: {{ .Values.postgres.external.existingSecretKey }} } } }
{{- with .Values.postgres.external.sslMode }}
- { name: PGSSLMODE, value: {{ . }} }
{{- end }}
{{- if .Values.postgres.external.caConfigMap }}
- { name: PGSSLROOTCERT, value: /etc/haat/postgres-ca/ca.crt }
{{- end }}
{{- else }}
- { name: POSTGRES_PASSWORD, valueFrom: { secretKeyRef: { name: postgres, key: password } } }
- { name: HAAT_DATABASE_URL, value: "postgresql://haat:$(POSTGRES_PASSWORD)@$(POSTGRES_SERVICE_HOST):$(POSTGRES_SERVICE_PORT)/haat" }
{{- end }}
{{- end }}

{{- define "haat.databaseMounts" -}}
{{- if and (include "haat.postgresSecret" .) .Values.postgres.external.caConfigMap -}}
- { name: postgres-ca, mountPath: /etc/haat/postgres-ca, readOnly: true }
{{- end }}
{{- end }}

{{- define "haat.databaseVolumes" -}}
{{- if and (include "haat.postgresSecret" .) .Values.postgres.external.caConfigMap -}}
- { name: postgres-ca, configMap: { name: {{ .Values.postgres.external.caConfigMap }} } }
{{- end }}
{{- end }}

{{- define "haat.probes" -}}
startupProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 1, failureThreshold: 90, timeoutSeconds: 2 }
readinessProbe: { httpGet: { path: /readyz, port: http }, periodSeconds: 2, failureThreshold: 2, timeoutSeconds: 2 }
livenessProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 10, failureThreshold: 3, timeoutSeconds: 3 }
{{- end }}

{{/* What seals stream keys between the operators and ingest; without it there is no SRT. */}}
{{- define "haat.sealEnv" }}
- { name: HAAT_SEAL_KEY, valueFrom: { secretKeyRef: { name: {{ .Values.auth.existingSecret | default "haat-auth" }}, key: seal-key, optional: true } } }
{{- end }}

{{- define "haat.ingestEnv" }}
{{- if .Values.srt.enabled }}
- { name: HAAT_SRT_PORT, value: "9710" }
- { name: HAAT_SRT_LATENCY_MS, value: {{ .Values.srt.latencyMs | quote }} }
{{- include "haat.sealEnv" . }}
{{- end }}
{{- if .Values.rtmp.tlsSecret }}
- { name: HAAT_RTMPS_PORT, value: "1936" }
{{- end }}
{{- end }}

{{- define "haat.ingestPorts" -}}
- { name: rtmp, containerPort: 1935, protocol: TCP }
{{- if .Values.rtmp.tlsSecret }}
- { name: rtmps, containerPort: 1936, protocol: TCP }
{{- end }}
{{- if .Values.srt.enabled }}
- { name: srt, containerPort: 9710, protocol: UDP }
{{- end }}
{{- end }}

{{- define "haat.ingestMounts" -}}
{{- if .Values.rtmp.tlsSecret -}}
- { name: tls, mountPath: /etc/haat/tls, readOnly: true }
{{- end }}
{{- end }}

{{- define "haat.ingestVolumes" -}}
{{- if .Values.rtmp.tlsSecret -}}
- { name: tls, secret: { secretName: {{ .Values.rtmp.tlsSecret }} } }
{{- end }}
{{- end }}
