package k8s

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// PodmanPods returns the pods of the kustomization in dir in a form that `podman kube play` can
// run. Each pod has the name of its owner, which other pods resolve in podman's network as they
// resolve the Service in Kubernetes. In addition,
//   - native sidecars come first among the plain containers, since podman does not know their
//     restart policy;
//   - environment variables have the values that the kubelet would give them;
//   - probes are removed, since podman runs them inside the container, which has no shell;
//   - ports are removed, since podman would open them on the host;
//   - volume names include the pod's name, since podman's volumes are shared by all pods;
//   - images are never pulled: the local ones are used.
func PodmanPods(dir string) ([]*corev1.Pod, error) {
	objects, err := build(dir)
	if err != nil {
		return nil, err
	}
	var pods []*corev1.Pod
	for _, object := range objects {
		made := template(object)
		if made == nil {
			continue
		}
		owner, err := meta.Accessor(object)
		if err != nil {
			return nil, err
		}
		pod := &corev1.Pod{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
			ObjectMeta: metav1.ObjectMeta{Name: owner.GetName(), Namespace: owner.GetNamespace(), Labels: made.Labels},
			Spec:       *made.Spec.DeepCopy(),
		}
		if err := forPodman(pod, objects); err != nil {
			return nil, fmt.Errorf("%s: %w", pod.Name, err)
		}
		pods = append(pods, pod)
	}
	return pods, nil
}

func forPodman(pod *corev1.Pod, objects []runtime.Object) error {
	var sidecars []corev1.Container
	pod.Spec.InitContainers = slices.DeleteFunc(pod.Spec.InitContainers, func(c corev1.Container) bool {
		native := c.RestartPolicy != nil
		if native {
			c.RestartPolicy = nil
			sidecars = append(sidecars, c)
		}
		return native
	})
	pod.Spec.Containers = append(sidecars, pod.Spec.Containers...)
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		c.ImagePullPolicy = corev1.PullNever
		c.LivenessProbe, c.ReadinessProbe, c.StartupProbe, c.Ports = nil, nil, nil, nil
		values, err := resolve(c.Env, pod, objects)
		if err != nil {
			return fmt.Errorf("container %s: %w", c.Name, err)
		}
		c.Env = append(resolveFrom(c.EnvFrom, c.Env, objects), values...)
		c.EnvFrom = nil
		for j := range c.VolumeMounts {
			c.VolumeMounts[j].Name = pod.Name + "-" + c.VolumeMounts[j].Name
		}
	}
	for i := range pod.Spec.Volumes {
		pod.Spec.Volumes[i].Name = pod.Name + "-" + pod.Spec.Volumes[i].Name
	}
	return nil
}

var reference = regexp.MustCompile(`\$\([A-Za-z_][A-Za-z0-9_]*\)`)

// errOptional is returned for an optional variable without a value. A variable from a secret never
// has one, since no kustomization that runs in podman creates a secret.
var errOptional = errors.New("optional variable has no value")

// resolve returns the variables with their values. It leaves out optional variables without a
// value.
func resolve(
	variables []corev1.EnvVar,
	pod *corev1.Pod,
	objects []runtime.Object,
) (resolved []corev1.EnvVar, err error) {
	known := map[string]string{}
	for _, v := range variables {
		value := reference.ReplaceAllStringFunc(v.Value, func(r string) string {
			if value, found := known[r[2:len(r)-1]]; found {
				return value
			}
			return r
		})
		if from := v.ValueFrom; from != nil {
			value, err = valueFrom(from, pod, objects)
			if errors.Is(err, errOptional) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("variable %s: %w", v.Name, err)
			}
		}
		known[v.Name] = value
		resolved = append(resolved, corev1.EnvVar{Name: v.Name, Value: value})
	}
	return resolved, nil
}

// resolveFrom returns the variables from those sources that are config maps, except those that
// variables overrides.
func resolveFrom(
	sources []corev1.EnvFromSource,
	variables []corev1.EnvVar,
	objects []runtime.Object,
) (resolved []corev1.EnvVar) {
	for _, s := range sources {
		for _, object := range objects {
			m, ok := object.(*corev1.ConfigMap)
			if !ok || s.ConfigMapRef == nil || m.Name != s.ConfigMapRef.Name {
				continue
			}
			for key, value := range m.Data {
				if !slices.ContainsFunc(variables, func(v corev1.EnvVar) bool { return v.Name == s.Prefix+key }) {
					resolved = append(resolved, corev1.EnvVar{Name: s.Prefix + key, Value: value})
				}
			}
		}
	}
	return resolved
}

func fromConfigMap(key *corev1.ConfigMapKeySelector, objects []runtime.Object) (string, error) {
	for _, object := range objects {
		if m, ok := object.(*corev1.ConfigMap); ok && m.Name == key.Name {
			if value, found := m.Data[key.Key]; found {
				return value, nil
			}
		}
	}
	if isTrue(key.Optional) {
		return "", errOptional
	}
	return "", fmt.Errorf("ConfigMap %s with key %s not found", key.Name, key.Key)
}

func valueFrom(from *corev1.EnvVarSource, pod *corev1.Pod, objects []runtime.Object) (string, error) {
	if from.FieldRef != nil {
		fields := map[string]string{
			"metadata.name":      pod.Name,
			"metadata.namespace": pod.Namespace,
			"metadata.uid":       "podman-" + pod.Name,
			"spec.nodeName":      "podman",
		}
		if value, known := fields[from.FieldRef.FieldPath]; known {
			return value, nil
		}
		return "", fmt.Errorf("unsupported fieldRef %s", from.FieldRef.FieldPath)
	}
	if key := from.ConfigMapKeyRef; key != nil {
		return fromConfigMap(key, objects)
	}
	if key := from.SecretKeyRef; key != nil && isTrue(key.Optional) {
		return "", errOptional
	}
	return "", fmt.Errorf("unsupported env source: expected fieldRef or configMapKeyRef, got %v", from)
}
