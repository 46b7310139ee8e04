package k8s

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// rejectedWorkload is the workload whose pod is rejected with the sidecar: its namespace has a
// LimitRange, and no annotation sets the sidecar's requests.
const rejectedWorkload = "limit-range-unsaid.yaml"

var update = flag.Bool("update", false, "rewrite the golden files")

// For each workload, the component and the policy change exactly what its golden file says. Except
// for rejectedWorkload, the API server admits with the sidecar every pod that it admits without it.
func TestWorkloadsChangeAsTheirGoldenFilesSay(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/*.yaml")
	if err != nil || len(files) < 25 {
		t.Fatalf("found %d workloads (%v), want at least 25", len(files), err)
	}
	policies := mustBuild(t, "../../deploy/k8s/injection")
	component := sidecarIn(t, podsOf(t, mustBuild(t, withComponent(t, "testdata/corpus/plain.yaml")))[0])
	served, err := newServer(
		t,
	).create(t.Context(), podsOf(t, mustBuild(t, withComponent(t, "testdata/corpus/plain.yaml")))[0])
	if err != nil {
		t.Fatal(err)
	}
	policy := sidecarIn(t, served)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			before, after := mustRead(t, file), mustBuild(t, withComponent(t, file))
			got := "component\n" + difference(t, component, before, withoutConfigMaps(after)) + "injection\n"
			for _, pod := range podsOf(t, before) {
				plain, errPlain := newServer(t, before...).create(t.Context(), pod)
				injected, errInjected := newServer(t, slices.Concat(before, policies)...).create(t.Context(), pod)
				if errPlain != nil {
					t.Fatalf("the API server rejects the pod even without the sidecar: %v", errPlain)
				}
				if errInjected != nil {
					if filepath.Base(file) != rejectedWorkload {
						t.Errorf("the API server rejects the pod with the sidecar, but not without it: %v", errInjected)
					}
					got += "  " + sortReasons(errInjected) + "\n"
					continue
				}
				got += difference(t, policy, []runtime.Object{plain}, []runtime.Object{injected})
				checkOrder(t, &plain.Spec, &injected.Spec)
			}
			compareGolden(t, strings.TrimSuffix(file, ".yaml")+".golden", got)
		})
	}
}

// sortReasons returns the text of err with the reasons in brackets sorted, since the server returns
// them in map order.
func sortReasons(err error) string {
	before, rest, found := strings.Cut(err.Error(), ": [")
	reasons, after, ends := strings.Cut(rest, "]")
	if !found || !ends {
		return err.Error()
	}
	// Reasons themselves contain commas.
	each := strings.Split(strings.ReplaceAll(reasons, ", minimum", "\nminimum"), "\n")
	slices.Sort(each)
	return before + ": [" + strings.Join(each, ", ") + "]" + after
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || got != string(want) {
		t.Errorf("golden file differs (%v): %s is\n%s\ngot\n%s", err, file, want, got)
	}
}

// withComponent returns the directory of a kustomization that adds the sidecar's component to file.
func withComponent(t *testing.T, file string) string {
	t.Helper()
	dir := t.TempDir()
	relative := func(path string) string {
		absolute, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		path, err = filepath.Rel(dir, absolute)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := fmt.Sprintf("resources: [%s]\ncomponents: [%s]\n", relative(file), relative("../../deploy/k8s/sidecar"))
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mustRead(t *testing.T, file string) (objects []runtime.Object) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for part := range bytes.SplitSeq(text, []byte("\n---\n")) {
		object, err := decode(part)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		objects = append(objects, object)
	}
	return objects
}

// withoutConfigMaps returns objects without config maps, such as the one that the component adds.
func withoutConfigMaps(objects []runtime.Object) []runtime.Object {
	return slices.DeleteFunc(
		objects,
		func(o runtime.Object) bool { return o.GetObjectKind().GroupVersionKind().Kind == "ConfigMap" },
	)
}

// podsOf returns the pods that controllers would create for the objects.
func podsOf(t *testing.T, objects []runtime.Object) (pods []*corev1.Pod) {
	t.Helper()
	for _, object := range objects {
		if foreign, ok := object.(*unstructured.Unstructured); ok {
			pods = append(pods, foreignPod(t, foreign))
		} else if made := template(object); made != nil {
			pods = append(pods, &corev1.Pod{ObjectMeta: *made.ObjectMeta.DeepCopy(), Spec: made.Spec})
		}
	}
	for _, pod := range pods {
		pod.Name = "app-0"
		// the controller of a StatefulSet adds the volumes of its claims
		if _, claims := objects[len(objects)-1].(*appsv1.StatefulSet); claims {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-app-0"},
			}})
		}
	}
	return pods
}

func foreignPod(t *testing.T, object *unstructured.Unstructured) *corev1.Pod {
	t.Helper()
	made, found, _ := unstructured.NestedMap(object.Object, "spec", "template")
	if tasks, ok, _ := unstructured.NestedSlice(object.Object, "spec", "tasks"); !found && ok {
		made, _, _ = unstructured.NestedMap(tasks[0].(map[string]any), "template")
	}
	text, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{}
	if err := yaml.UnmarshalStrict(text, pod); err != nil {
		t.Fatal(err)
	}
	if pod.Spec.Containers[0].Name == "" {
		pod.Spec.Containers[0].Name = "user-container" // as Knative names it
	}
	return pod
}

// checkOrder checks that a native sidecar comes first, so that it starts before all other
// containers, and that the other containers keep their order.
func checkOrder(t *testing.T, before, after *corev1.PodSpec) {
	t.Helper()
	names := func(containers []corev1.Container) (names []string) {
		for _, c := range containers {
			if c.Name != sidecarName {
				names = append(names, c.Name)
			}
		}
		return names
	}
	if !slices.Equal(names(before.InitContainers), names(after.InitContainers)) ||
		!slices.Equal(names(before.Containers), names(after.Containers)) {
		t.Error("the order of containers has changed")
	}
	if c, native := sidecarOf(after); native && after.InitContainers[0].Name != c.Name {
		t.Error("the sidecar is not the first init container")
	}
}

// sidecarIn returns the fields of a pod's sidecar.
func sidecarIn(t *testing.T, pod *corev1.Pod) map[string]any {
	t.Helper()
	c, _ := sidecarOf(&pod.Spec)
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(c)
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

// difference lists the fields that were added, removed and changed, one per line. A sidecar that
// equals standard takes one line.
func difference(t *testing.T, standard map[string]any, before, after []runtime.Object) string {
	t.Helper()
	was, is := map[string]string{}, map[string]string{}
	for _, object := range before {
		flatten(t, standard, object, was)
	}
	for _, object := range after {
		flatten(t, standard, object, is)
	}
	var lines []string
	for path, value := range was {
		if now, found := is[path]; !found {
			lines = append(lines, "  - "+path+" = "+value)
		} else if now != value {
			lines = append(lines, "  - "+path+" = "+value, "  + "+path+" = "+now)
		}
	}
	for path, value := range is {
		if _, found := was[path]; !found {
			lines = append(lines, "  + "+path+" = "+value)
		}
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[4:]+a[:4], b[4:]+b[:4]) })
	if len(lines) == 0 {
		return "  nothing\n"
	}
	return strings.Join(lines, "\n") + "\n"
}

func flatten(t *testing.T, standard map[string]any, object runtime.Object, into map[string]string) {
	t.Helper()
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		t.Fatal(err)
	}
	collapse(standard, fields)
	walk((&unstructured.Unstructured{Object: fields}).GetName(), fields, into)
}

// collapse replaces the sidecar with its differences from the standard one.
func collapse(standard map[string]any, value any) {
	switch v := value.(type) {
	case map[string]any:
		for _, child := range v {
			collapse(standard, child)
		}
		list, _ := v["initContainers"].([]any)
		for i, item := range list {
			if m, ok := item.(map[string]any); ok && m["name"] == sidecarName {
				list[i] = map[string]any{"name": sidecarName, "is": summary(standard, m)}
			}
		}
	case []any:
		for _, child := range v {
			collapse(standard, child)
		}
	}
}

func summary(standard, container map[string]any) any {
	was, is := map[string]string{}, map[string]string{}
	walk("", standard, was)
	walk("", container, is)
	differing := map[string]any{"": "the sidecar, but for what follows"}
	for path, value := range is {
		if was[path] != value {
			differing[path] = value
		}
	}
	for path := range was {
		if _, found := is[path]; !found {
			differing[path] = "absent"
		}
	}
	if len(differing) == 1 {
		return "the sidecar"
	}
	return differing
}

func walk(path string, value any, into map[string]string) {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			walk(path+"."+key, child, into)
		}
	case []any:
		for i, child := range v {
			key := fmt.Sprint(i)
			if m, ok := child.(map[string]any); ok {
				for _, by := range []string{"mountPath", "name", "prefix"} {
					if id, ok := m[by].(string); ok {
						key = id
						break
					}
				}
			}
			walk(path+"["+key+"]", child, into)
		}
	case nil:
	default:
		text, _ := json.Marshal(v) //nolint:errchkjson // a scalar
		into[path] = string(text)
	}
}
