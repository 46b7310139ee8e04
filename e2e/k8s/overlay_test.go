package k8s

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func mustBuild(t *testing.T, dir string) []runtime.Object {
	t.Helper()
	objects, err := build(dir)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// Every overlay builds, is known to Kubernetes, is let in at restricted and keeps the policy.
func TestOverlays(t *testing.T) {
	for dir, pods := range map[string]int{
		"../../deploy/k8s/daemonset": 1,
		"../../deploy/k8s/example":   3, // serve, payments, load
		"../../deploy/k8s/injection": 0,
		"testdata/bare":              4, // a Deployment, a StatefulSet, a DaemonSet and a Job that know nothing of poolgauge
		"testdata/everything":        1,
		"testdata/no-host":           4,
	} {
		t.Run(dir, func(t *testing.T) {
			seen := 0
			for _, object := range mustBuild(t, dir) {
				pod := template(object)
				if pod == nil {
					continue
				}
				seen++
				if err := admit(&pod.ObjectMeta, &pod.Spec); err != nil {
					t.Errorf("%T: %v", object, err)
				}
				if err := check(&pod.Spec); err != nil {
					t.Errorf("%T: %v", object, err)
				}
			}
			if seen != pods {
				t.Errorf("%d kinds of pods, want %d", seen, pods)
			}
		})
	}
}

// The component adds the sidecar and the app's endpoint, and changes nothing else.
func TestComponentChangesNothingElse(t *testing.T) {
	plain := pods(t, "testdata/bare/app")
	for kind, with := range pods(t, "testdata/bare") {
		app, before := with.Spec.Containers[0], plain[kind].Spec.Containers[0]
		endpoint := env(&app, "OTEL_EXPORTER_OTLP_ENDPOINT")
		if endpoint == nil || endpoint.Value != "http://127.0.0.1:4317" {
			t.Errorf("%s: the app's endpoint is %v", kind, endpoint)
		}
		if len(app.Env) != len(before.Env)+1 {
			t.Errorf("%s: %d variables, want one more than %d", kind, len(app.Env), len(before.Env))
		}
		app.Env, before.Env = nil, nil
		if app.String() != before.String() {
			t.Errorf("%s: the app is\n%s, was\n%s", kind, app.String(), before.String())
		}
		if got, want := len(with.Spec.InitContainers), len(plain[kind].Spec.InitContainers)+1; got != want {
			t.Errorf("%s: %d init containers, want %d", kind, got, want)
		}
	}
}

func pods(t *testing.T, dir string) map[string]*corev1.PodTemplateSpec {
	t.Helper()
	found := map[string]*corev1.PodTemplateSpec{}
	for _, object := range mustBuild(t, dir) {
		if pod := template(object); pod != nil {
			found[object.GetObjectKind().GroupVersionKind().Kind] = pod
		}
	}
	return found
}

// What must not pass does not.
func TestBadOverlays(t *testing.T) {
	for dir, want := range map[string]string{
		"unknown-field":      "unknown field",
		"privileged":         "pod security: ",
		"readiness":          "neither a readiness nor a startup probe",
		"token":              "no service-account token",
		"cpu-limit":          "none of CPU",
		"unlimited":          "with a size limit",
		"writable":           "read-only",
		"job-blocks":         "restarts always",
		"host":               "pod security: ",
		"small-queue-volume": "larger than the queue",
		"small-probe-volume": "larger than its file",
		"no-queue-size":      "larger than the queue",
		"small-memory":       "what was measured",
		"latest":             "has a version",
		"untagged":           "has a version",
	} {
		t.Run(dir, func(t *testing.T) {
			objects, err := build("testdata/bad/" + dir)
			for _, object := range objects {
				if pod := template(object); pod != nil && err == nil {
					if err = admit(&pod.ObjectMeta, &pod.Spec); err == nil {
						err = check(&pod.Spec)
					}
				}
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want an error with %q", err, want)
			}
		})
	}
}
