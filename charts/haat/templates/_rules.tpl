{{/* What the operators may do in a namespace whose shops they run. No wildcard, and no list or watch of Secrets: the names of
ours are known, other people's are none of our business. A role that the operators make cannot hold more than this. */}}
{{- define "haat.operatorRules" -}}
{{- $all := "[get, list, watch, create, patch, delete]" }}
- apiGroups: [haat.dev]
  resources: [channels, livestreams, flashsales]
  verbs: [get, list, watch, patch, update, delete]
# Linear channels make the LiveStreams of their programme.
- apiGroups: [haat.dev]
  resources: [livestreams]
  verbs: [create]
- apiGroups: [haat.dev]
  resources: [channels/status, livestreams/status, flashsales/status]
  verbs: [get, patch, update]
- apiGroups: [""]
  resources: [configmaps, services, serviceaccounts]
  verbs: {{ $all }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch, delete]
# Deletion cost of rooms' pods, and workers of pools.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch, delete]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch]
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: {{ $all }}
- apiGroups: [batch]
  resources: [jobs]
  verbs: {{ $all }}
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: {{ $all }}
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: {{ $all }}
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: {{ $all }}
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: {{ $all }}
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: {{ $all }}
- apiGroups: [ray.io]
  resources: [rayservices]
  verbs: {{ $all }}
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: {{ $all }}
{{- end }}
