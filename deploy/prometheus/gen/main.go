// Command gen writes the recording rules and alerts from the metric table: as a file for Prometheus, and as a resource for the
// Prometheus Operator. Run it by `make generate`; a test fails when a file is stale.
package main

//go:generate go run .

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// directory is relative to deploy/prometheus/gen, where go generate runs.
const directory = ".."

const header = "# Generated from internal/catalog by make generate. Do not edit.\n"

// rule is one recording rule or alert of Prometheus' rule files.
type rule struct {
	Record      string            `yaml:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

type group struct {
	Name  string `yaml:"name"`
	Rules []rule `yaml:"rules"`
}

type ruleFile struct {
	Groups []group `yaml:"groups"`
}

// resource is a PrometheusRule of the Prometheus Operator.
type resource struct {
	APIVersion string         `yaml:"apiVersion"`
	Kind       string         `yaml:"kind"`
	Metadata   map[string]any `yaml:"metadata"`
	Spec       ruleFile       `yaml:"spec"`
}

func main() {
	for name, content := range files() {
		text, err := render(content)
		if err == nil {
			err = os.WriteFile(filepath.Join(directory, name), text, 0o644)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// files returns the content of every file by its name.
func files() map[string]any {
	rules := ruleFile{Groups: []group{{"poolgauge-records", records()}, {"poolgauge-alerts", alerts()}}}
	return map[string]any{
		"rules.yaml": rules,
		"prometheusrule.yaml": resource{
			APIVersion: "monitoring.coreos.com/v1", Kind: "PrometheusRule", Spec: rules,
			Metadata: map[string]any{"name": "poolgauge", "labels": map[string]string{"app.kubernetes.io/name": "poolgauge"}},
		},
	}
}

func render(content any) ([]byte, error) {
	b := bytes.NewBufferString(header)
	e := yaml.NewEncoder(b)
	e.SetIndent(2)
	err := e.Encode(content)
	return b.Bytes(), err
}
