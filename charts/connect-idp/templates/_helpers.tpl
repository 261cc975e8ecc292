{{- define "connect-idp.name" -}}
{{- printf "%s" (ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name)) | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "connect-idp.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: service
{{- end -}}

{{- define "connect-idp.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "connect-idp.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end -}}

{{- define "connect-idp.host" -}}
{{ index (urlParse .Values.issuer) "hostname" }}
{{- end -}}

{{- define "connect-idp.several" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicaCount) 1) }}yes{{ end -}}
{{- end -}}

{{/* What the program reads as the same value: a text as it stands, anything else as JSON, which is TOML too. */}}
{{- define "connect-idp.setting" -}}
{{ ternary . (toJson .) (kindIs "string" .) | quote }}
{{- end -}}

{{- define "connect-idp.env" -}}
- name: CONNECT_IDP__ISSUER
  value: {{ .Values.issuer | quote }}
- name: CONNECT_IDP__LISTEN
  value: 0.0.0.0:8080
- name: CONNECT_IDP__INTERNAL_LISTEN
  value: 0.0.0.0:9000
- name: CONNECT_IDP__KEYS__DIR
  value: /etc/connect-idp/keys
{{- if eq .Values.database.engine "sqlite" }}
- name: CONNECT_IDP__DATABASE__URL
  value: sqlite:///var/lib/connect-idp/connect.db
{{- else }}
- name: CONNECT_IDP__DATABASE__URL_FILE
  value: /etc/connect-idp/database/url
- name: CONNECT_IDP__DATABASE__POOLING
  value: {{ .Values.database.pooling }}
{{- end }}
- name: CONNECT_IDP__DRAIN_SECONDS
  value: {{ .Values.drainSeconds | quote }}
{{- if .Values.redis.existingSecret }}
- name: CONNECT_IDP__REDIS__URL_FILE
  value: /etc/connect-idp/redis/url
{{- end }}
- name: CONNECT_IDP__DATABASE__CONNECTIONS
  value: {{ .Values.database.connections | quote }}
{{- with .Values.mail }}
{{- if .host }}
- name: CONNECT_IDP__MAIL__HOST
  value: {{ .host | quote }}
{{- if .port }}
- name: CONNECT_IDP__MAIL__PORT
  value: {{ .port | quote }}
{{- end }}
- name: CONNECT_IDP__MAIL__TLS
  value: {{ .tls }}
- name: CONNECT_IDP__MAIL__FROM
  value: {{ .from | quote }}
- name: CONNECT_IDP__MAIL__UNIFIED_LOGIN
  value: {{ .unifiedLogin | quote }}
{{- if .existingSecret }}
- name: CONNECT_IDP__MAIL__USERNAME
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: username
- name: CONNECT_IDP__MAIL__PASSWORD_FILE
  value: /etc/connect-idp/mail/password
{{- end }}
{{- end }}
{{- end }}
{{- range $key, $value := .Values.config }}
{{- if kindIs "map" $value }}
{{- range $name, $inner := $value }}
- name: CONNECT_IDP__{{ upper $key }}__{{ upper $name }}
  value: {{ include "connect-idp.setting" $inner }}
{{- end }}
{{- else }}
- name: CONNECT_IDP__{{ upper $key }}
  value: {{ include "connect-idp.setting" $value }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "connect-idp.mounts" -}}
- name: keys
  mountPath: /etc/connect-idp/keys
  readOnly: true
{{- if eq .Values.database.engine "sqlite" }}
- name: data
  mountPath: /var/lib/connect-idp
{{- else }}
- name: database
  mountPath: /etc/connect-idp/database
  readOnly: true
{{- end }}
{{- if .Values.redis.existingSecret }}
- name: redis
  mountPath: /etc/connect-idp/redis
  readOnly: true
{{- end }}
{{- if and .Values.mail.host .Values.mail.existingSecret }}
- name: mail
  mountPath: /etc/connect-idp/mail
  readOnly: true
{{- end }}
- name: tmp
  mountPath: /tmp
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "connect-idp.volumes" -}}
- name: keys
  secret:
    secretName: {{ .Values.keys.existingSecret }}
    defaultMode: 0400
{{- if eq .Values.database.engine "sqlite" }}
- name: data
  persistentVolumeClaim:
    claimName: {{ .Values.persistence.existingClaim | default (include "connect-idp.name" .) }}
{{- else }}
- name: database
  secret:
    secretName: {{ .Values.database.existingSecret }}
    defaultMode: 0400
    items:
      - key: {{ .Values.database.key }}
        path: url
{{- end }}
{{- if .Values.redis.existingSecret }}
- name: redis
  secret:
    secretName: {{ .Values.redis.existingSecret }}
    defaultMode: 0400
    items:
      - key: {{ .Values.redis.key }}
        path: url
{{- end }}
{{- if and .Values.mail.host .Values.mail.existingSecret }}
- name: mail
  secret:
    secretName: {{ .Values.mail.existingSecret }}
    defaultMode: 0400
    items:
      - key: password
        path: password
{{- end }}
- name: tmp
  emptyDir:
    sizeLimit: 256Mi
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The kubelet gives what is in Secrets to this group: the only way by which a user other than root may read it. */}}
{{- define "connect-idp.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "connect-idp.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
