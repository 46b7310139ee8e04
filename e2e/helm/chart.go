// Package helm generates the templates of the Helm chart (deploy/helm) from the kustomizations, and
// tests that the chart renders the same objects.
package helm

//go:generate go run ./chart

import (
	"fmt"
	"regexp"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// part is a template of the Helm chart: the output of a kustomization in which chart values replace
// everything that a user may set.
type part struct {
	file, dir, enabled string
	image              image
	values             [][2]string // text in the manifest, and its replacement; each text must occur
}

// In the manifests, an image is a name with a version. A chart value replaces both.
var (
	sidecarImage = image{
		regexp.MustCompile(`ghcr\.io/poolgauge/sidecar:[0-9][0-9A-Za-z.-]*`),
		`{{ include "poolgauge.image" . }}`,
	}
	collectorImage = image{
		regexp.MustCompile(`otel/opentelemetry-collector-contrib:[0-9][0-9A-Za-z.-]*`),
		"{{ .Values.gateway.image }}",
	}
)

type image struct {
	named *regexp.Regexp
	value string
}

var parts = []part{
	{"injection.yaml", "../../deploy/k8s/injection", "injection", sidecarImage, nil},
	{
		"daemonset.yaml",
		"../../deploy/k8s/daemonset",
		"daemonset",
		sidecarImage,
		[][2]string{
			{"namespace: poolgauge", "namespace: {{ .Release.Namespace }}"},
			{"endpoint: http://otel-collector.monitoring:4317", "endpoint: {{ .Values.endpoint | quote }}"},
			{`cluster: ""`, "cluster: {{ .Values.cluster | quote }}"},
			// This replaces kustomize's hash, so that pods restart when settings change.
			{
				"name: poolgauge-HASH",
				`name: poolgauge-{{ printf "%s,%s" .Values.endpoint .Values.cluster | sha256sum | trunc 10 }}`,
			},
		},
	},
	{
		"gateway.yaml",
		"../../deploy/gateway",
		"gateway",
		collectorImage,
		[][2]string{
			{"namespace: monitoring", "namespace: {{ .Release.Namespace }}"},
			{
				"UPSTREAM: http://prometheus.monitoring:9090/api/v1/otlp",
				"UPSTREAM: {{ .Values.gateway.upstream | quote }}",
			},
			{"replicas: 2", "replicas: {{ .Values.gateway.replicas }}"},
			{"minReplicas: 2", "minReplicas: {{ .Values.gateway.replicas }}"},
			{"maxReplicas: 10", "maxReplicas: {{ .Values.gateway.maxReplicas }}"},
			{
				"name: otel-collector-upstream-HASH",
				`name: otel-collector-upstream-{{ .Values.gateway.upstream | sha256sum | trunc 10 }}`,
			},
		},
	},
}

// hashes matches names of config maps with the hash that kustomize appends. The hash depends on the
// contents, which come from the chart's values.
var hashes = regexp.MustCompile(`name: (poolgauge|otel-collector-upstream)-[0-9a-z]{10}\b`)

// Chart returns the chart's generated templates, by file name.
func Chart() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, p := range parts {
		text, err := p.build()
		if err != nil {
			return nil, err
		}
		if !p.image.named.MatchString(text) {
			return nil, fmt.Errorf("%s: %q not found in kustomize's output", p.dir, p.image.named)
		}
		text = p.image.named.ReplaceAllString(text, p.image.value)
		for _, v := range p.values {
			replaced := regexp.MustCompile(`(^|[^A-Za-z])`+regexp.QuoteMeta(v[0])).
				ReplaceAllString(text, "${1}"+strings.ReplaceAll(v[1], "$", "$$"))
			if replaced == text {
				return nil, fmt.Errorf("%s: %q not found in kustomize's output", p.dir, v[0])
			}
			text = replaced
		}
		files[p.file] = []byte(text)
	}
	return files, nil
}

// build returns kustomize's output for p, as a template without values.
func (p *part) build() (string, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), p.dir)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(
		&b,
		"{{- /* Generated from %s by make generate. Do not edit. */}}\n{{- if .Values.%s.enabled }}\n",
		strings.TrimPrefix(p.dir, "../../"),
		p.enabled,
	)
	for _, r := range built.Resources() {
		if r.GetKind() == "Namespace" { // the release has its own namespace
			continue
		}
		text, err := r.AsYAML()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "---\n%s", text)
	}
	b.WriteString("{{- end }}\n")
	return hashes.ReplaceAllString(b.String(), "name: ${1}-HASH"), nil
}
