// Command gen writes injection/policy.yaml from sidecar/sidecar.yaml, so that there is one description of the sidecar. Run it by
// `make generate`; a test fails when the policy is stale.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Relative to this directory, where go generate runs.
const (
	source = "../sidecar/sidecar.yaml"
	target = "../injection/policy.yaml"
)

//go:generate go run .
func main() {
	text, err := os.ReadFile(source)
	if err == nil {
		text, err = policy(text)
	}
	if err == nil {
		err = os.WriteFile(target, text, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// patch is what is of interest in the component's patch.
type patch struct {
	Spec struct {
		Template struct {
			Spec struct {
				InitContainers []yaml.Node `yaml:"initContainers"`
				Volumes        []yaml.Node `yaml:"volumes"`
			} `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

// policy returns the admission policy that adds what the component's patch adds.
func policy(component []byte) ([]byte, error) {
	var p patch
	if err := yaml.Unmarshal(component, &p); err != nil {
		return nil, err
	}
	spec := &p.Spec.Template.Spec
	var b strings.Builder
	b.WriteString(head)
	for i := range spec.InitContainers {
		writePatch(&b, "/spec/initContainers/"+strconv.Itoa(i), "Object.spec.initContainers", &spec.InitContainers[i])
	}
	for i := range spec.Volumes {
		writePatch(&b, "/spec/volumes/-", "Object.spec.volumes", &spec.Volumes[i])
	}
	b.WriteString("          ]\n")
	return []byte(b.String()), nil
}

const head = `# Generated from sidecar/sidecar.yaml by make generate. Do not edit.
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata:
  name: poolgauge
spec:
  failurePolicy: Ignore # a pod without telemetry is better than no pod
  reinvocationPolicy: IfNeeded
  matchConstraints:
    resourceRules:
      - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
  matchConditions:
    - name: has-none-yet
      expression: '!has(object.spec.initContainers) || !object.spec.initContainers.exists(c, c.name == "poolgauge")'
    - name: has-not-opted-out
      expression: '!has(object.metadata.labels) || !("poolgauge.github.io/inject" in object.metadata.labels) || object.metadata.labels["poolgauge.github.io/inject"] != "disabled"'
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: |-
          (has(object.spec.initContainers) ? [] : [JSONPatch{op: "add", path: "/spec/initContainers", value: []}]) +
          (has(object.spec.volumes) ? [] : [JSONPatch{op: "add", path: "/spec/volumes", value: []}]) + [
`

func writePatch(b *strings.Builder, path, kind string, value *yaml.Node) {
	fmt.Fprintf(b, "            JSONPatch{op: \"add\", path: %q, value: ", path)
	write(b, kind, value, "            ")
	b.WriteString("},\n")
}

// write writes a value of YAML as one of CEL: kind is the path of its type. CEL has no maps of mixed types, but objects.
func write(b *strings.Builder, kind string, n *yaml.Node, indent string) {
	switch n.Kind {
	case yaml.MappingNode:
		writeMapping(b, kind, n, indent)
	case yaml.SequenceNode:
		b.WriteString("[")
		for i, item := range n.Content {
			if i > 0 {
				b.WriteString(", ")
			}
			write(b, kind, item, indent+"  ")
		}
		b.WriteString("]")
	default:
		if n.Tag == "!!str" {
			b.WriteString(strconv.Quote(n.Value))
		} else {
			b.WriteString(n.Value)
		}
	}
}

func writeMapping(b *strings.Builder, kind string, n *yaml.Node, indent string) {
	isMap := strings.HasSuffix(kind, ".requests") || strings.HasSuffix(kind, ".limits") // of resources: keys that are no fields
	if !isMap {
		b.WriteString(kind)
	}
	b.WriteString("{")
	for i := 0; i < len(n.Content); i += 2 {
		name, value := n.Content[i].Value, n.Content[i+1]
		key := name
		if isMap {
			key = strconv.Quote(name)
		}
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(b, "\n%s  %s: ", indent, key)
		write(b, kind+"."+name, value, indent+"  ")
	}
	b.WriteString("}")
}
