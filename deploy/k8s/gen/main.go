// Command gen generates manifests from the components' patches of a Deployment: the same patches
// for other kinds, and the admission policy. The sidecar is thus described only once. Run it with
// `make generate`; a test fails if a file is stale.
package main

import (
	_ "embed"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// manifests is the directory of the manifests, relative to this one, where go generate runs.
const manifests = "../"

//go:generate go run .
func main() {
	files, err := generated()
	for name, text := range files {
		if err == nil {
			err = os.WriteFile(manifests+name, text, 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// generated returns the generated files by name.
func generated() (map[string][]byte, error) {
	files := map[string][]byte{
		"sidecar/endpoint.yaml": replacements(endpoint),
		"sidecar/evict.yaml":    replacements(evictable),
	}
	patches := map[string]patch{}
	for _, name := range components {
		text, err := os.ReadFile(manifests + name)
		if err != nil {
			return nil, err
		}
		dir := path.Dir(name) + "/"
		if files[dir+"cronjob.yaml"], files[dir+"pod.yaml"], err = otherKinds(text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		var p patch
		if err := yaml.Unmarshal(text, &p); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		patches[name] = p
	}
	files["injection/policy.yaml"] = policy(patches["sidecar/sidecar.yaml"], patches["tls/tls.yaml"])
	return files, nil
}

// patch holds those fields of a component's patch that the policy needs.
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

// The handwritten parts of the policy: head precedes what the patch sidecar adds, and tail follows
// it.
var (
	//go:embed head.yaml
	head string
	//go:embed tail.cel
	tail string
)

// policy returns the admission policy. The policy adds to pods whatever the patch sidecar adds. To
// pods that request TLS, it also adds whatever the patch tls adds.
func policy(sidecar, tls patch) []byte {
	var b strings.Builder
	b.WriteString(head)
	for i := range sidecar.Spec.Template.Spec.InitContainers {
		writePatch(
			&b,
			"/spec/initContainers/"+strconv.Itoa(i),
			"Object.spec.initContainers",
			&sidecar.Spec.Template.Spec.InitContainers[i],
		)
	}
	writeVolumes(&b, sidecar)
	b.WriteString(tail)
	container := tls.Spec.Template.Spec.InitContainers[0]
	for i := 0; i < len(container.Content); i += 2 {
		if field, list := container.Content[i].Value, container.Content[i+1]; list.Kind == yaml.SequenceNode {
			for _, item := range list.Content {
				writePatch(&b, "/spec/initContainers/0/"+field+"/-", "Object.spec.initContainers."+field, item)
			}
		}
	}
	writeVolumes(&b, tls)
	b.WriteString("          ] : [])\n")
	return []byte(b.String())
}

func writeVolumes(b *strings.Builder, p patch) {
	for i := range p.Spec.Template.Spec.Volumes {
		writePatch(b, "/spec/volumes/-", "Object.spec.volumes", &p.Spec.Template.Spec.Volumes[i])
	}
}

func writePatch(b *strings.Builder, path, kind string, value *yaml.Node) {
	fmt.Fprintf(b, "            JSONPatch{op: \"add\", path: %q, value: ", path)
	writeValue(b, kind, value, "            ")
	b.WriteString("},\n")
}

// writeValue writes n, a YAML value, as CEL. kind is the name of the value's type in CEL, such as
// Object.spec.volumes. A mapping becomes an object of that type, since the values of a CEL map must
// all have the same type.
func writeValue(b *strings.Builder, kind string, n *yaml.Node, indent string) {
	switch n.Kind {
	case yaml.MappingNode:
		writeMapping(b, kind, n, indent)
	case yaml.SequenceNode:
		b.WriteString("[")
		for i, item := range n.Content {
			if i > 0 {
				b.WriteString(", ")
			}
			writeValue(b, kind, item, indent+"  ")
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
	// The keys of requests and limits are names of resources, not of fields.
	isMap := strings.HasSuffix(kind, ".requests") || strings.HasSuffix(kind, ".limits")
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
		writeValue(b, kind+"."+name, value, indent+"  ")
	}
	b.WriteString("}")
}
