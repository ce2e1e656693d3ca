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

{{- define "haat.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
fsGroup: 10001
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "haat.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "haat.identityEnv" -}}
- { name: POD_IP, valueFrom: { fieldRef: { fieldPath: status.podIP } } }
- { name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
- { name: POD_NAMESPACE, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
- { name: HAAT_LISTEN_PORT, value: "8080" }
- { name: HAAT_REDIS_URL, value: "redis://$(REDIS_SERVICE_HOST):$(REDIS_SERVICE_PORT)/0" }
{{- end }}

{{- define "haat.jwksEnv" -}}
- { name: HAAT_AUTH_JWKS, valueFrom: { secretKeyRef: { name: haat-auth, key: jwks } } }
{{- end }}

{{- define "haat.databaseEnv" -}}
- { name: POSTGRES_PASSWORD, valueFrom: { secretKeyRef: { name: postgres, key: password } } }
- { name: HAAT_DATABASE_URL, value: "postgresql://haat:$(POSTGRES_PASSWORD)@$(POSTGRES_SERVICE_HOST):$(POSTGRES_SERVICE_PORT)/haat" }
{{- end }}

{{- define "haat.probes" -}}
startupProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 1, failureThreshold: 90, timeoutSeconds: 2 }
readinessProbe: { httpGet: { path: /readyz, port: http }, periodSeconds: 2, failureThreshold: 2, timeoutSeconds: 2 }
livenessProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 10, failureThreshold: 3, timeoutSeconds: 3 }
{{- end }}

{{/* A Deployment and its Service for one stateless Python service: root, component, module, replicas, resources, env, ports, account. */}}
{{- define "haat.service" -}}
{{- $root := .root }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .component }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "haat.labels" . | nindent 4 }}
spec:
  replicas: {{ .replicas }}
  selector:
    matchLabels: {{- include "haat.selector" . | nindent 6 }}
  strategy:
    {{- if .recreate }}
    type: Recreate
    {{- else }}
    type: RollingUpdate
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
    {{- end }}
  template:
    metadata:
      labels: {{- include "haat.labels" . | nindent 8 }}
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "8080"
        haat.dev/config-hash: {{ .configHash | default "none" | quote }}
    spec:
      serviceAccountName: {{ .account | default "haat-workloads" }}
      automountServiceAccountToken: {{ .automount | default false }}
      securityContext: {{- include "haat.podSecurity" . | nindent 8 }}
      terminationGracePeriodSeconds: {{ .grace | default 30 }}
      containers:
        - name: {{ .component }}
          image: {{ .image | default $root.Values.images.workloads }}
          imagePullPolicy: {{ $root.Values.images.pullPolicy }}
          command: [{{ range $i, $word := .command }}{{ if $i }}, {{ end }}{{ $word | quote }}{{ end }}]
          env:
            {{- include "haat.identityEnv" . | nindent 12 }}
            {{- with .env }}{{ . | nindent 12 }}{{ end }}
          ports:
            - { name: http, containerPort: 8080, protocol: TCP }
            {{- with .ports }}{{ . | nindent 12 }}{{ end }}
          {{- include "haat.probes" . | nindent 10 }}
          resources: {{- toYaml .resources | nindent 12 }}
          securityContext: {{- include "haat.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - { name: tmp, mountPath: /tmp }
            {{- with .mounts }}{{ . | nindent 12 }}{{ end }}
      volumes:
        - { name: tmp, emptyDir: {} }
        {{- with .volumes }}{{ . | nindent 8 }}{{ end }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .component }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "haat.labels" . | nindent 4 }}
spec:
  selector: {{- include "haat.selector" . | nindent 4 }}
  ports:
    - { name: http, port: 8080, targetPort: http, protocol: TCP }
{{- if gt (int .replicas) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .component }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "haat.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "haat.selector" . | nindent 6 }}
{{- end }}
{{- end }}
