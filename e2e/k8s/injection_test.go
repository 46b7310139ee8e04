package k8s

import (
	"context"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// mutator is an admission policy, compiled and run by the code of Kubernetes' API server.
type mutator struct {
	matches matchconditions.Matcher
	patcher patch.Patcher
	scheme  *runtime.Scheme
}

func newMutator(t *testing.T, p *admissionv1.MutatingAdmissionPolicy) *mutator {
	t.Helper()
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		t.Fatal(err)
	}
	conditions := make([]cel.ExpressionAccessor, len(p.Spec.MatchConditions))
	for i := range p.Spec.MatchConditions {
		conditions[i] = (*matchconditions.MatchCondition)(&p.Spec.MatchConditions[i])
	}
	fail := admissionv1.Fail // an error of a condition is an error of the test
	evaluator := compiler.CompileCondition(conditions, cel.OptionalVariableDeclarations{}, environment.StoredExpressions)
	mutation := compiler.CompileMutatingEvaluator(&patch.JSONPatchCondition{Expression: p.Spec.Mutations[0].JSONPatch.Expression},
		cel.OptionalVariableDeclarations{HasPatchTypes: true}, environment.StoredExpressions)
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return &mutator{
		matches: matchconditions.NewMatcher(evaluator, &fail, "policy", "validate", p.Name),
		patcher: patch.NewJSONPatcher(mutation), scheme: scheme,
	}
}

// admit returns the pod as the API server would let it in.
func (m *mutator) admit(t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	kind, resource := corev1.SchemeGroupVersion.WithKind("Pod"), corev1.SchemeGroupVersion.WithResource("pods")
	attributes := &admission.VersionedAttributes{
		Attributes: admission.NewAttributesRecord(pod, nil, kind, pod.Namespace, pod.Name, resource, "", admission.Create,
			&metav1.CreateOptions{}, false, nil),
		VersionedKind: kind, VersionedObject: pod,
	}
	match := m.matches.Match(context.Background(), attributes, nil, nil)
	if match.Error != nil {
		t.Fatal(match.Error)
	}
	if !match.Matches {
		return pod
	}
	patched, err := m.patcher.Patch(context.Background(), patch.Request{
		MatchedResource: resource, VersionedAttributes: attributes, ObjectInterfaces: admission.NewObjectInterfacesFromScheme(m.scheme),
	}, celconfig.RuntimeCELCostBudget)
	if err != nil {
		t.Fatal(err)
	}
	return patched.(*corev1.Pod)
}

func policyOf(t *testing.T) *admissionv1.MutatingAdmissionPolicy {
	t.Helper()
	for _, object := range mustBuild(t, "../../deploy/k8s/injection") {
		if p, ok := object.(*admissionv1.MutatingAdmissionPolicy); ok {
			return p
		}
	}
	t.Fatal("no policy")
	return nil
}

// plainPod is the pod of an app that knows nothing of poolgauge.
func plainPod(t *testing.T) *corev1.Pod {
	t.Helper()
	template := pods(t, "testdata/bare/app")["Deployment"]
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: "shop", Labels: template.Labels}, Spec: template.Spec}
}

// The policy adds to a pod what the component adds, once.
func TestInjection(t *testing.T) {
	m := newMutator(t, policyOf(t))
	injected := m.admit(t, plainPod(t))
	if err := admit(&injected.ObjectMeta, &injected.Spec); err != nil {
		t.Error(err)
	}
	if err := check(&injected.Spec); err != nil {
		t.Error(err)
	}
	got, _ := sidecarOf(&injected.Spec)
	want, _ := sidecarOf(&pods(t, "testdata/bare")["Deployment"].Spec)
	if want = want.DeepCopy(); got == nil {
		t.Fatal("no sidecar")
	}
	for i := range want.Env { // kustomize adds a hash to the name, so that a change restarts the pods
		if from := want.Env[i].ValueFrom; from != nil && from.ConfigMapKeyRef != nil {
			from.ConfigMapKeyRef.Name = name
		}
	}
	if got.String() != want.String() {
		t.Errorf("injected\n%s\nthe component adds\n%s", got, want)
	}
	if again := m.admit(t, injected); len(again.Spec.InitContainers) != len(injected.Spec.InitContainers) {
		t.Errorf("%d init containers when called again, want %d", len(again.Spec.InitContainers), len(injected.Spec.InitContainers))
	}
}

func TestInjectionKeepsWhatIsThere(t *testing.T) {
	pod := plainPod(t)
	pod.Spec.InitContainers = []corev1.Container{{Name: "migrate", Image: "example.com/migrate:1"}}
	pod.Spec.Volumes = []corev1.Volume{{Name: "data"}}
	injected := newMutator(t, policyOf(t)).admit(t, pod)
	if n := len(injected.Spec.InitContainers); n != 2 || injected.Spec.InitContainers[0].Name != name || injected.Spec.InitContainers[1].Name != "migrate" {
		t.Errorf("init containers %v: the sidecar goes first, so that it is there for the others", injected.Spec.InitContainers)
	}
	if injected.Spec.Volumes[0].Name != "data" {
		t.Errorf("volumes %v", injected.Spec.Volumes)
	}
}

func TestInjectionOptOut(t *testing.T) {
	pod := plainPod(t)
	pod.Labels["poolgauge.github.io/inject"] = "disabled"
	if injected := newMutator(t, policyOf(t)).admit(t, pod); len(injected.Spec.InitContainers) != 0 {
		t.Error("a pod that has opted out was changed")
	}
}
