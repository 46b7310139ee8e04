package helm

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const chart = "../../deploy/helm/poolgauge"

func TestChartIsUpToDate(t *testing.T) {
	files, err := Chart()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if got, err := os.ReadFile(filepath.Join(chart, "templates", name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run make generate (%v)", name, err)
		}
	}
}

// helmTemplate returns the output of `helm template` with values in YAML.
func helmTemplate(t *testing.T, namespace, values string) ([]map[string]any, error) {
	t.Helper()
	loaded, err := loader.LoadDir(chart)
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]any{}
	if err := yaml.Unmarshal([]byte(values), &given); err != nil {
		t.Fatal(err)
	}
	all, err := util.ToRenderValues(
		loaded,
		given,
		common.ReleaseOptions{Name: "poolgauge", Namespace: namespace},
		common.DefaultCapabilities,
	)
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Render(loaded, all)
	if err != nil {
		return nil, err
	}
	var objects []map[string]any
	for name, text := range rendered {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		for part := range strings.SplitSeq(text, "---\n") {
			if strings.TrimSpace(part) == "" {
				continue
			}
			object := map[string]any{}
			if err := yaml.UnmarshalStrict([]byte(part), &object); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			objects = append(objects, object)
		}
	}
	return objects, nil
}

// normalized returns the objects as sorted JSON, without the hashes in the names of config maps and
// without Namespace objects.
func normalized(t *testing.T, objects []map[string]any) string {
	t.Helper()
	var all []string
	for _, object := range objects {
		if object["kind"] == "Namespace" {
			continue
		}
		text, err := json.MarshalIndent(object, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		all = append(
			all,
			regexp.MustCompile(`"(poolgauge|otel-collector-upstream)-[0-9a-z]{10}"`).
				ReplaceAllString(string(text), `"$1-HASH"`),
		)
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func kustomized(t *testing.T, dir string) (objects []map[string]any) {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range built.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		object := map[string]any{}
		if err := yaml.UnmarshalStrict(text, &object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
	return objects
}

// The chart renders the same objects as the kustomizations with the same settings.
func TestChartRendersTheKustomizations(t *testing.T) {
	for dir, c := range map[string]struct{ namespace, values string }{
		"injection":        {"poolgauge", "daemonset: {enabled: false}"},
		"daemonset":        {"poolgauge", "injection: {enabled: false}"},
		"../gateway":       {"monitoring", "{injection: {enabled: false}, daemonset: {enabled: false}, gateway: {enabled: true}}"},
		"settings/gateway": {"shop", "{injection: {enabled: false}, daemonset: {enabled: false}, gateway: {enabled: true, upstream: \"http://mimir:8080/otlp\", replicas: 3}}"},
		"settings/node": {"shop", `{injection: {enabled: false}, endpoint: "https://otlp.example.com:4317", cluster: blue,
			image: {repository: registry.example.com/poolgauge, digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}}`},
	} {
		t.Run(dir, func(t *testing.T) {
			path := filepath.Join("..", "..", "deploy", "k8s", dir)
			if own, ok := strings.CutPrefix(dir, "settings/"); ok {
				path = "testdata/" + own
			}
			objects, err := helmTemplate(t, c.namespace, c.values)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := normalized(t, objects), normalized(t, kustomized(t, path)); got != want || got == "" {
				t.Errorf("the chart renders\n%s\nwant, as with kustomize:\n%s", got, want)
			}
		})
	}
}

func TestChartForSelectedNamespaces(t *testing.T) {
	objects, err := helmTemplate(
		t,
		"poolgauge",
		"{daemonset: {enabled: false}, injection: {namespaces: [shop, bank]}, cluster: blue}",
	)
	if err != nil || len(objects) != 4 {
		t.Errorf("%d objects, %v; want a policy, its binding and two config maps", len(objects), err)
	}
}

func TestChartRefusesBadValues(t *testing.T) {
	for _, values := range []string{"endpiont: http://x", "endpoint: collector:4317", "image: {tag: latest}", "gateway: {replicas: none}", "injection: {enabled: 1}"} {
		if _, err := helmTemplate(t, "x", values); err == nil {
			t.Errorf("values %s are accepted, want an error", values)
		}
	}
}

func TestChartLint(t *testing.T) {
	for _, m := range lint.RunAll(chart, map[string]any{}, "poolgauge").Messages {
		if m.Severity >= support.WarningSev {
			t.Error(m)
		}
	}
}
