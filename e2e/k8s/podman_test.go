package k8s

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestPodmanPods(t *testing.T) {
	pods, err := PodmanPods(example)
	if err != nil {
		t.Fatal(err)
	}
	names, volumes := []string{}, map[string]bool{}
	for _, pod := range pods {
		names = append(names, pod.Name)
		if len(pod.Spec.InitContainers) != 0 || len(pod.Spec.Containers) != 2 ||
			pod.Spec.Containers[0].Name != sidecarName || pod.Spec.Containers[0].RestartPolicy != nil {
			t.Errorf("%s has the containers %v, want the sidecar and the app", pod.Name, pod.Spec.Containers)
		}
		for _, v := range pod.Spec.Volumes {
			if volumes[v.Name] {
				t.Errorf("two pods share the volume %s", v.Name)
			}
			volumes[v.Name] = true
		}
		for _, c := range pod.Spec.Containers {
			for _, v := range c.Env {
				if v.ValueFrom != nil || strings.Contains(v.Value, "$(") {
					t.Errorf("%s: %s has no value", pod.Name, v.Name)
				}
			}
		}
		if v := env(
			&pod.Spec.Containers[0],
			"OTEL_RESOURCE_ATTRIBUTES",
		); !strings.Contains(
			v.Value,
			"k8s.pod.name="+pod.Name+",",
		) {
			t.Errorf("%s: the resource attributes are %s, want the pod's name", pod.Name, v.Value)
		}
	}
	if got := strings.Join(names, " "); got != "orders payments load" {
		t.Errorf("pods %q, want orders, payments and load", got)
	}
}

// The real sidecar accepts the settings of the manifests.
func TestSettings(t *testing.T) {
	sidecar := filepath.Join(t.TempDir(), "sidecar")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", sidecar, "./cmd/sidecar")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the sidecar: %v\n%s", err, out)
	}
	for _, dir := range []string{example, "../../deploy/k8s/daemonset", "testdata/bare"} {
		pods, err := PodmanPods(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, pod := range pods {
			c, _ := sidecarOf(&pod.Spec)
			check := exec.CommandContext(t.Context(), sidecar, append([]string{"check"}, c.Args...)...)
			for _, v := range c.Env {
				if strings.HasPrefix(v.Value, "/var/lib/") { // where a volume is mounted in the pod
					v.Value = t.TempDir()
				}
				check.Env = append(check.Env, v.Name+"="+v.Value)
			}
			if out, err := check.CombinedOutput(); err != nil ||
				!strings.Contains(string(out), "telemetry is sent to http://otel-collector.monitoring:4317") {
				t.Errorf("sidecar check with the settings of %s, %s: %v\n%s", dir, pod.Name, err, out)
			}
		}
	}
}
