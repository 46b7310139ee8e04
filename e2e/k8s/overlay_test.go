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

// Every overlay builds, has only fields that Kubernetes defines, is admitted at the restricted
// level, and satisfies our rules.
func TestOverlays(t *testing.T) {
	for dir, pods := range map[string]int{
		"../../deploy/k8s/daemonset": 1,
		"../../deploy/k8s/example":   3, // serve, payments, load
		"../../deploy/k8s/injection": 0,
		// a Deployment, a StatefulSet, a DaemonSet and a Job without poolgauge
		"testdata/bare":       4,
		"testdata/everything": 1,
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
				t.Errorf("%d pod templates, want %d", seen, pods)
			}
		})
	}
}

// Each of the smaller components makes the change that it exists for, and pods that have opted out
// are left unchanged.
func TestComponentsChangeTheSidecarAsTheyShould(t *testing.T) {
	for dir, holds := range map[string]func(c *corev1.Container) bool{
		"guaranteed": func(c *corev1.Container) bool {
			return c.Resources.Requests.Cpu().Equal(*c.Resources.Limits.Cpu()) && c.Resources.Requests.Memory().Equal(*c.Resources.Limits.Memory())
		},
		"openshift": func(c *corev1.Container) bool {
			return c.SecurityContext.RunAsUser == nil && c.SecurityContext.RunAsGroup == nil && isTrue(c.SecurityContext.RunAsNonRoot)
		},
		"no-relay": func(c *corev1.Container) bool {
			return env(c, "POOLGAUGE_RELAY_GRPC_ADDRESS").Value == "off" && env(c, "POOLGAUGE_RELAY_HTTP_ADDRESS").Value == "off"
		},
		"prefixed": func(c *corev1.Container) bool {
			return strings.HasPrefix(env(c, "OTEL_EXPORTER_OTLP_HEADERS").ValueFrom.SecretKeyRef.Name, "blue-poolgauge-")
		},
	} {
		made := pods(t, "testdata/"+dir)
		for kind, pod := range made {
			if c, native := sidecarOf(&pod.Spec); !native || !holds(c) {
				t.Errorf("%s, %s: the sidecar is not as expected: %v", dir, kind, c)
			}
		}
		if len(made) < 5 || made["CronJob"] == nil {
			t.Errorf("%s: %d kinds of pods, want at least 5, including that of a CronJob", dir, len(made))
		}
	}
	for kind, pod := range pods(t, "testdata/opted-out") {
		if c, _ := sidecarOf(
			&pod.Spec,
		); c != nil || len(pod.Spec.Containers[0].EnvFrom) != 0 || len(pod.Annotations) != 0 ||
			pod.Spec.ShareProcessNamespace != nil {
			t.Errorf("%s: an object that has opted out was changed: %v", kind, pod)
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

// Each overlay that breaks a rule fails.
func TestOverlaysThatBreakARuleFail(t *testing.T) {
	for dir, want := range map[string]string{
		"unknown-field":      "unknown field",
		"privileged":         "pod security: ",
		"readiness":          "neither a readiness nor a startup probe",
		"token":              "no service-account token",
		"cpu-limit":          "limits memory but not CPU",
		"unlimited":          "with a size limit",
		"writable":           "read-only",
		"job-blocks":         "always restarts",
		"host":               "pod security: ",
		"small-queue-volume": "larger than the queue",
		"small-probe-volume": "larger than its file",
		"no-queue-size":      "larger than the queue",
		"small-memory":       "fits the measured usage",
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
				t.Errorf("got %v, want an error that contains %q", err, want)
			}
		})
	}
}
