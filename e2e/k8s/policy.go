package k8s

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// sidecarName is the name of the sidecar's container.
const sidecarName = "poolgauge"

const (
	// bytes of memory used with an app that sends as fast as the relay accepts; docs/benchmarks.md
	// has the memory used when idle
	measuredUnderLoad = 30 << 20
	probeBlock        = 4096 // bytes of the disk probe's file, as in collector/probe/disk.go
)

// admit runs Kubernetes' Pod Security admission at the restricted level.
func admit(meta *metav1.ObjectMeta, spec *corev1.PodSpec) error {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, meta, spec))
	if !result.Allowed {
		return fmt.Errorf("pod security: %s", result.ForbiddenDetail())
	}
	return nil
}

// sidecarOf returns the sidecar of the pod with the given spec. native reports whether the sidecar
// is an init container.
func sidecarOf(spec *corev1.PodSpec) (c *corev1.Container, native bool) {
	for i := range spec.InitContainers {
		if spec.InitContainers[i].Name == sidecarName {
			return &spec.InitContainers[i], true
		}
	}
	for i := range spec.Containers {
		if spec.Containers[i].Name == sidecarName {
			return &spec.Containers[i], false
		}
	}
	return nil, false
}

// rule is a condition that the sidecar of a pod must satisfy.
type rule struct {
	says  string
	holds func(spec *corev1.PodSpec, c *corev1.Container, native bool) bool
}

var rules = []rule{
	{"a native sidecar always restarts", func(_ *corev1.PodSpec, c *corev1.Container, native bool) bool {
		return !native || c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
	}},
	{"it runs as an explicit user other than root", func(_ *corev1.PodSpec, c *corev1.Container, _ bool) bool {
		s := c.SecurityContext
		return s != nil && isTrue(s.RunAsNonRoot) && s.RunAsUser != nil && *s.RunAsUser > 0
	}},
	{"its root file system is read-only", func(_ *corev1.PodSpec, c *corev1.Container, _ bool) bool {
		return c.SecurityContext != nil && isTrue(c.SecurityContext.ReadOnlyRootFilesystem)
	}},
	{"it drops all capabilities and adds none", func(_ *corev1.PodSpec, c *corev1.Container, _ bool) bool {
		s := c.SecurityContext
		return s != nil && s.Capabilities != nil && slices.Contains(s.Capabilities.Drop, "ALL") &&
			len(s.Capabilities.Add) == 0
	}},
	{
		"its seccomp profile is RuntimeDefault, and it gains no privileges",
		func(_ *corev1.PodSpec, c *corev1.Container, _ bool) bool {
			s := c.SecurityContext
			return s != nil && s.SeccompProfile != nil &&
				s.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault &&
				s.AllowPrivilegeEscalation != nil && !*s.AllowPrivilegeEscalation
		},
	},
	{"it has no service-account token", hasNoToken},
	{
		"it requests CPU and memory, and limits memory but not CPU",
		func(_ *corev1.PodSpec, c *corev1.Container, _ bool) bool {
			r := c.Resources
			return !r.Requests.Cpu().IsZero() && !r.Requests.Memory().IsZero() && !r.Limits.Memory().IsZero() &&
				r.Limits.Cpu().IsZero()
		},
	},
	{
		"it has a liveness probe, and neither a readiness nor a startup probe",
		func(_ *corev1.PodSpec, c *corev1.Container, _ bool) bool {
			return c.LivenessProbe != nil && c.ReadinessProbe == nil && c.StartupProbe == nil
		},
	},
	{
		"its memory limit fits the measured usage and, for a failing disk, the queue",
		func(_ *corev1.PodSpec, c *corev1.Container, _ bool) bool {
			return c.Resources.Limits.Memory().Value() >= measuredUnderLoad+queueSize(c)
		},
	},
	{
		"its queue and its probe each have a volume with a size limit",
		func(spec *corev1.PodSpec, c *corev1.Container, _ bool) bool {
			return volumeOf(spec, c, "POOLGAUGE_QUEUE_DIR") > 0 && volumeOf(spec, c, "POOLGAUGE_PROBE_DIR") > 0
		},
	},
	{
		"the queue's volume is larger than the queue, which deletes whole segments",
		func(spec *corev1.PodSpec, c *corev1.Container, _ bool) bool {
			return queueSize(c) > 0 && volumeOf(spec, c, "POOLGAUGE_QUEUE_DIR") >= 2*queueSize(c)
		},
	},
	{
		"the probe's volume is larger than its file, including files left by killed processes",
		func(spec *corev1.PodSpec, c *corev1.Container, _ bool) bool {
			return volumeOf(spec, c, "POOLGAUGE_PROBE_DIR") >= 16*probeBlock
		},
	},
	{"its image has a version", func(_ *corev1.PodSpec, c *corev1.Container, _ bool) bool {
		_, tag, tagged := strings.Cut(c.Image[strings.LastIndex(c.Image, "/")+1:], ":")
		return tagged && tag != "latest"
	}},
	{
		"it reports its pod's attributes, from the downward API",
		func(_ *corev1.PodSpec, c *corev1.Container, _ bool) bool {
			return env(c, "K8S_POD") != nil && env(c, "K8S_NAMESPACE") != nil && env(c, "K8S_NODE") != nil &&
				env(c, "OTEL_RESOURCE_ATTRIBUTES") != nil
		},
	},
	{"it shares no namespace with the host", func(spec *corev1.PodSpec, _ *corev1.Container, _ bool) bool {
		return !spec.HostNetwork && !spec.HostPID && !spec.HostIPC
	}},
}

// check returns an error that lists the violated rules, or nil if there are none.
func check(spec *corev1.PodSpec) error {
	c, native := sidecarOf(spec)
	if c == nil {
		return errors.New("the pod has no sidecar")
	}
	var violations []error
	for _, r := range rules {
		if !r.holds(spec, c, native) {
			violations = append(violations, errors.New("the sidecar violates a rule: "+r.says))
		}
	}
	return errors.Join(violations...)
}

func isTrue(b *bool) bool { return b != nil && *b }

// hasNoToken reports whether the pod mounts no service-account token, or mounts another volume in
// the token's place.
func hasNoToken(spec *corev1.PodSpec, c *corev1.Container, _ bool) bool {
	if spec.AutomountServiceAccountToken != nil && !*spec.AutomountServiceAccountToken {
		return true
	}
	return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
		return m.MountPath == "/var/run/secrets/kubernetes.io/serviceaccount" && sizeLimit(spec, m.Name) > 0
	})
}

// volumeOf returns the size limit of the emptyDir that is mounted at the directory named by
// variable, or 0 if there is none.
func volumeOf(spec *corev1.PodSpec, c *corev1.Container, variable string) int64 {
	v := env(c, variable)
	i := slices.IndexFunc(
		c.VolumeMounts,
		func(m corev1.VolumeMount) bool { return v != nil && m.MountPath == v.Value && !m.ReadOnly },
	)
	if i < 0 {
		return 0
	}
	return sizeLimit(spec, c.VolumeMounts[i].Name)
}

// sizeLimit returns the size limit of the emptyDir with the given name, or 0 if there is none.
func sizeLimit(spec *corev1.PodSpec, volume string) int64 {
	for _, v := range spec.Volumes {
		if v.Name == volume && v.EmptyDir != nil && v.EmptyDir.SizeLimit != nil {
			return v.EmptyDir.SizeLimit.Value()
		}
	}
	return 0
}

// queueSize returns the size limit of the queue in bytes, or 0 if the manifest does not set it.
func queueSize(c *corev1.Container) int64 {
	v := env(c, "POOLGAUGE_QUEUE_SIZE")
	if v == nil {
		return 0
	}
	size, _ := resource.ParseQuantity(v.Value)
	return size.Value()
}

func env(c *corev1.Container, name string) *corev1.EnvVar {
	for i := range c.Env {
		if c.Env[i].Name == name {
			return &c.Env[i]
		}
	}
	return nil
}
