{{/*
A Deployment with its Service and, where there may be more than one replica, a disruption budget. The replicas of what
`capacity` names are the operators' field: they stand at this section's number, and higher for sales.
root, component, section (its values), command; optional: image, single (never two), recreate, env, ports, account,
automount, mounts, volumes, priority.
*/}}
{{- define "haat.service" -}}
{{- $root := .root }}
{{- $replicas := int (include "haat.replicas" .) }}
{{- if .single }}{{ $replicas = min 1 (int .section.replicas) }}{{ end }}
{{- $scaled := include "haat.scaledForSales" . }}
{{- $image := .image | default $root.Values.images.workloads }}
{{- $pod := dict "root" $root "component" .component "section" .section "priority" (.priority | default "service") }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .component }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "haat.labels" . | nindent 4 }}
spec:
  {{- if not $scaled }}
  replicas: {{ $replicas }}
  {{- end }}
  revisionHistoryLimit: 3
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
      labels: {{- include "haat.podLabels" $pod | nindent 8 }}
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "8080"
        {{- if .auth }}
        checksum/auth: {{ print $root.Values.auth.jwks $root.Values.auth.privateKey | sha256sum }}
        {{- end }}
        {{- with .section.podAnnotations }}{{ toYaml . | nindent 8 }}{{ end }}
    spec:
      serviceAccountName: {{ .account | default "haat-workloads" }}
      automountServiceAccountToken: {{ .automount | default false }}
      securityContext: {{- include "haat.podSecurity" . | nindent 8 }}
      terminationGracePeriodSeconds: 30
      {{- with include "haat.placement" $pod | trim }}{{ . | nindent 6 }}{{ end }}
      containers:
        - name: {{ .component }}
          image: {{ include "haat.image" (dict "root" $root "image" $image "own" true) }}
          imagePullPolicy: {{ $root.Values.images.pullPolicy }}
          command: [{{ range $i, $word := .command }}{{ if $i }}, {{ end }}{{ $word | quote }}{{ end }}]
          env:
            {{- include "haat.identityEnv" . | nindent 12 }}
            {{- with .env }}{{ . | nindent 12 }}{{ end }}
            {{- with .section.extraEnv }}{{ toYaml . | nindent 12 }}{{ end }}
          ports:
            - { name: http, containerPort: 8080, protocol: TCP }
            {{- with .ports }}{{ . | nindent 12 }}{{ end }}
          {{- include "haat.probes" . | nindent 10 }}
          resources: {{- toYaml .section.resources | nindent 12 }}
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
{{- if or (gt $replicas 1) $scaled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .component }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "haat.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  # A pod that is broken already must not block a node's drain.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "haat.selector" . | nindent 6 }}
{{- end }}
{{- end }}
