package k8s

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// plainPod returns the pod of an app without poolgauge.
func plainPod(t *testing.T) *corev1.Pod {
	t.Helper()
	template := pods(t, "testdata/bare/app")["Deployment"]
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "app", Labels: template.Labels}, Spec: template.Spec}
}

// injected returns pod as admitted by an API server that has the policy, in a namespace with the
// given annotations.
func injected(t *testing.T, pod *corev1.Pod, annotations map[string]string) *corev1.Pod {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:        "shop",
		Annotations: annotations,
		Labels:      map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	made, err := newServer(t, append(mustBuild(t, "../../deploy/k8s/injection"), namespace)...).create(t.Context(), pod)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// The policy adds to a pod what the component adds, once, and the result satisfies our rules.
func TestInjection(t *testing.T) {
	pod := injected(t, plainPod(t), nil)
	if err := check(&pod.Spec); err != nil {
		t.Error(err)
	}
	if again := injected(t, pod, nil); len(again.Spec.InitContainers) != 1 {
		t.Errorf("%d init containers after a second admission, want 1", len(again.Spec.InitContainers))
	}
	if v := env(
		&pod.Spec.Containers[0],
		"OTEL_EXPORTER_OTLP_ENDPOINT",
	); v == nil ||
		v.Value != "http://127.0.0.1:4317" {
		t.Errorf("the app's endpoint is %v, want http://127.0.0.1:4317", v)
	}
}

// A namespace's annotations apply to its pods, unless a pod overrides them.
func TestInjectionByNamespace(t *testing.T) {
	pod := plainPod(t)
	pod.Annotations = map[string]string{"poolgauge.github.io/memory": "96Mi"}
	made := injected(t, pod, map[string]string{
		"poolgauge.github.io/cpu": "150m", "poolgauge.github.io/memory": "256Mi", "poolgauge.github.io/tls": "enabled",
		"openshift.io/sa.scc.uid-range": "1000680000/10000",
	})
	c, _ := sidecarOf(&made.Spec)
	for name, want := range map[corev1.ResourceName]string{corev1.ResourceCPU: "150m", corev1.ResourceMemory: "96Mi"} {
		request, limit := c.Resources.Requests[name], c.Resources.Limits[name]
		if request.String() != want || limit.String() != want {
			t.Errorf("%s: request %s, limit %s, want both %s", name, request.String(), limit.String(), want)
		}
	}
	if c.SecurityContext.RunAsUser != nil || c.SecurityContext.RunAsGroup != nil {
		t.Error("the sidecar sets its user or group, although the platform assigns them")
	}
	if v := env(
		c,
		"OTEL_EXPORTER_OTLP_CLIENT_KEY",
	); v == nil ||
		!slices.ContainsFunc(made.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == "poolgauge-tls" }) {
		t.Error("the sidecar has no client key, or the pod has no volume poolgauge-tls")
	}
}

// Pods are not changed in a namespace whose label does not enable injection.
func TestInjectionNeedsTheNamespaceLabel(t *testing.T) {
	namespace := &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{
			Name:   "shop",
			Labels: map[string]string{"poolgauge.github.io/inject": "disabled"},
		},
	}
	made, err := newServer(
		t,
		append(mustBuild(t, "../../deploy/k8s/injection"), namespace)...).create(t.Context(), plainPod(t))
	if err != nil || len(made.Spec.InitContainers) != 0 {
		t.Errorf("init containers %v (error %v), want none", made.Spec.InitContainers, err)
	}
}
