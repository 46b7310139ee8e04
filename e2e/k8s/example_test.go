package k8s

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const example = "../../deploy/k8s/example"

// podsByName returns the pod templates of objects, by their label app.kubernetes.io/name.
func podsByName(objects []runtime.Object) map[string]*corev1.PodTemplateSpec {
	found := map[string]*corev1.PodTemplateSpec{}
	for _, object := range objects {
		if pod := template(object); pod != nil {
			found[pod.Labels["app.kubernetes.io/name"]] = pod
		}
	}
	return found
}

// The example's network policies allow the connections that the apps need, and no others.
func TestExampleNetworkAllowsOnlyWhatTheAppsNeed(t *testing.T) {
	objects := mustBuild(t, example)
	n, pods := networkOf(objects), podsByName(objects)
	tcp := func(port int32) corev1.ContainerPort {
		return corev1.ContainerPort{ContainerPort: port, Protocol: corev1.ProtocolTCP}
	}
	for _, from := range []string{"orders", "payments", "load"} {
		for _, to := range []string{"orders", "payments"} {
			want := from == "load" && to == "orders" || from == "orders" && to == "payments"
			port := pods[to].Spec.Containers[0].Ports[0]
			port.Protocol = corev1.ProtocolTCP // as the API server sets it
			if got := n.allows(pods[from], pods[to], port); got != want {
				t.Errorf("%s may connect to %s: %t, want %t", from, to, got, want)
			}
			if n.allows(pods[from], pods[to], tcp(4317)) {
				t.Errorf("%s may connect to the sidecar of %s", from, to)
			}
		}
		dns := corev1.ContainerPort{ContainerPort: 53, Protocol: corev1.ProtocolUDP}
		if !n.allowsEgress(pods[from], nil, dns) || !n.allowsEgress(pods[from], nil, tcp(4317)) {
			t.Errorf("%s may not look up names, or its sidecar may not send", from)
		}
		if n.allowsEgress(pods[from], nil, tcp(80)) {
			t.Errorf("%s may connect to anything", from)
		}
	}
	unlabeled := &corev1.PodTemplateSpec{}
	if n.allowsIngress(nil, unlabeled, tcp(80)) || n.allowsEgress(unlabeled, nil, tcp(80)) {
		t.Error("traffic that is not listed is not denied")
	}
}

func TestDaemonSetNetwork(t *testing.T) {
	objects := mustBuild(t, "../../deploy/k8s/daemonset")
	n, pod := networkOf(objects), podsByName(objects)["poolgauge-node"]
	if n.allowsIngress(nil, pod, corev1.ContainerPort{ContainerPort: 4319, Protocol: corev1.ProtocolTCP}) {
		t.Error("any peer may connect to port 4319 of the DaemonSet's pod")
	}
	if !n.allowsEgress(pod, nil, corev1.ContainerPort{ContainerPort: 4317, Protocol: corev1.ProtocolTCP}) {
		t.Error("the DaemonSet's pod may not connect to port 4317")
	}
}

// Every Service selects a pod and targets one of its ports.
func TestExampleServices(t *testing.T) {
	objects := mustBuild(t, example)
	pods, services := podsByName(objects), 0
	for _, object := range objects {
		s, ok := object.(*corev1.Service)
		if !ok {
			continue
		}
		services++
		pod := pods[s.Spec.Selector["app.kubernetes.io/name"]]
		if pod == nil || !slices.ContainsFunc(pod.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool {
			return p.Name == s.Spec.Ports[0].TargetPort.StrVal
		}) {
			t.Errorf("service %s selects no pod with its target port", s.Name)
		}
	}
	if services != 2 {
		t.Errorf("%d services, want 2", services)
	}
}

// The Job's pod completes with its only container, since the kubelet does not wait for native
// sidecars.
func TestExampleJobCompletes(t *testing.T) {
	for _, object := range mustBuild(t, example) {
		job, ok := object.(*batchv1.Job)
		if !ok {
			continue
		}
		spec := &job.Spec.Template.Spec
		c, native := sidecarOf(spec)
		if len(spec.Containers) != 1 || spec.RestartPolicy == corev1.RestartPolicyAlways || !native ||
			*c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
			t.Errorf(
				"the Job has the containers %v and restarts %s; its sidecar is native: %t",
				spec.Containers,
				spec.RestartPolicy,
				native,
			)
		}
		return
	}
	t.Error("the example has no Job")
}

// The example's own containers have a read-only root file system, resource settings, and no
// service-account token.
func TestExampleContainers(t *testing.T) {
	for name, pod := range podsByName(mustBuild(t, example)) {
		c := &pod.Spec.Containers[0]
		if !isTrue(c.SecurityContext.ReadOnlyRootFilesystem) || c.Resources.Limits.Memory().IsZero() ||
			c.Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s: its root file system is writable, or it requests no resources: %v", name, c)
		}
		if automount := pod.Spec.AutomountServiceAccountToken; automount == nil || *automount {
			t.Errorf("%s has a service-account token", name)
		}
	}
}

// All of our images have the same version, so that a release changes one number.
func TestImagesHaveOneVersion(t *testing.T) {
	versions := map[string][]string{}
	for _, dir := range []string{example, "../../deploy/k8s/daemonset", "testdata/bare"} {
		for _, object := range mustBuild(t, dir) {
			pod := template(object)
			if pod == nil {
				continue
			}
			for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
				if image, ours := strings.CutPrefix(c.Image, "ghcr.io/poolgauge/"); ours {
					_, version, _ := strings.Cut(image, ":")
					versions[version] = append(versions[version], dir)
				}
			}
		}
	}
	if len(versions) != 1 || versions[""] != nil || versions["latest"] != nil {
		t.Errorf("the images have the versions %v, want one, and not latest", versions)
	}
}

// A release pins the image by digest in every manifest, the policy and the chart.
func TestReleasePinsTheImageByDigest(t *testing.T) {
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	dir := t.TempDir()
	if text, err := exec.CommandContext(t.Context(), "make", "-C", "../..", "pinned", "DIGEST="+digest, "PINNED="+dir).
		CombinedOutput(); err != nil {
		t.Fatalf("make pinned: %v\n%s", err, text)
	}
	for _, object := range mustBuild(t, filepath.Join(dir, "k8s", "daemonset")) {
		if pod := template(object); pod != nil && pod.Spec.Containers[0].Image != "ghcr.io/poolgauge/sidecar@"+digest {
			t.Errorf("the DaemonSet's image is %s, want it pinned by digest", pod.Spec.Containers[0].Image)
		}
	}
	for name, want := range map[string]string{
		"k8s/sidecar/sidecar.yaml":   "image: ghcr.io/poolgauge/sidecar@" + digest,
		"k8s/sidecar/cronjob.yaml":   "image: ghcr.io/poolgauge/sidecar@" + digest,
		"k8s/sidecar/pod.yaml":       "image: ghcr.io/poolgauge/sidecar@" + digest,
		"k8s/injection/policy.yaml":  `image: "ghcr.io/poolgauge/sidecar@` + digest + `"`,
		"helm/poolgauge/values.yaml": "  digest: \"" + digest + "\"",
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(text), want+"\n") && !strings.Contains(string(text), want+",\n") ||
			strings.Contains(string(text), "poolgauge/sidecar:") {
			t.Errorf("%s: want %q and no image with a tag: %v", name, want, err)
		}
	}
}

// Pinning the image as the README says also covers init containers.
func TestPinned(t *testing.T) {
	for kind, pod := range pods(t, "testdata/pinned") {
		if c, _ := sidecarOf(&pod.Spec); !strings.HasPrefix(c.Image, "registry.example.com/poolgauge@sha256:0123") {
			t.Errorf("%s: the image is %s, want the pinned one", kind, c.Image)
		}
		if err := check(&pod.Spec); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
