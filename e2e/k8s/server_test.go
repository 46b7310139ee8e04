package k8s

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/discovery"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/openapi"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install" // for its defaults
	"k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/capabilities"
	quota "k8s.io/kubernetes/pkg/quota/v1/evaluator/core"
	"k8s.io/kubernetes/plugin/pkg/admission/limitranger"
	"k8s.io/utils/clock"
)

// server is the part of Kubernetes' API server that admits pods. It runs the API server's own code
// for defaults, admission and validation.
type server struct {
	plugins   []admission.Interface
	namespace *corev1.Namespace
	demanded  []corev1.ResourceName // resources that quotas require
}

// newServer returns a server with those of the given objects that are a policy, a namespace, quotas
// or limit ranges. In place of the policy's binding, it checks the namespace's label.
func newServer(t *testing.T, objects ...runtime.Object) *server {
	t.Helper()
	capabilities.Setup(true, 0) // privileged pods, as most clusters admit them
	s := &server{namespace: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}}
	var known []runtime.Object
	var policy *admissionv1.MutatingAdmissionPolicy
	for _, object := range objects {
		switch o := object.(type) {
		case *corev1.Namespace:
			s.namespace = o.DeepCopy()
			continue
		case *corev1.ResourceQuota:
			for name := range o.Spec.Hard {
				s.demanded = append(s.demanded, name)
			}
		case *corev1.LimitRange:
			o = o.DeepCopy()
			o.Namespace = "shop"
			object = o
		case *admissionv1.MutatingAdmissionPolicy:
			policy = o
			continue
		default:
			continue
		}
		known = append(known, object)
	}
	labels := map[string]string{"poolgauge.github.io/inject": "enabled"}
	maps.Copy(labels, s.namespace.Labels)
	s.namespace.Labels = labels
	client := withoutSchemas{fake.NewClientset(append(known, s.namespace)...)}
	limits, err := limitranger.NewLimitRanger(&limitranger.DefaultLimitRangerActions{})
	if err != nil {
		t.Fatal(err)
	}
	s.plugins = []admission.Interface{limits} // followed by policies, in the API server's order
	if policy != nil && s.namespace.Labels["poolgauge.github.io/inject"] == "enabled" {
		policies, err := newMutator(policy, s.namespace)
		if err != nil {
			t.Fatal(err)
		}
		s.plugins = append(s.plugins, policies)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{corev1.SchemeGroupVersion})
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	setup := initializer.New(
		client,
		dynamicfake.NewSimpleDynamicClient(runtime.NewScheme()),
		factory,
		authorizerfactory.NewAlwaysAllowAuthorizer(),
		utilfeature.DefaultFeatureGate,
		compatibility.DefaultBuildEffectiveVersion(),
		t.Context().Done(),
		mapper,
	)
	for _, p := range s.plugins {
		setup.Initialize(p)
		if v, ok := p.(admission.InitializationValidator); ok {
			if err := v.ValidateInitialization(); err != nil {
				t.Fatal(err)
			}
		}
	}
	factory.Start(t.Context().Done())
	factory.WaitForCacheSync(t.Context().Done())
	t.Cleanup(factory.Shutdown)
	return s
}

// withoutSchemas is a client without OpenAPI schemas. The fake client has none, and JSON patches
// need none.
type withoutSchemas struct{ kubernetes.Interface }

// IsWatchListSemanticsUnSupported tells informers to list objects first, as the fake client itself
// does.
func (withoutSchemas) IsWatchListSemanticsUnSupported() bool { return true }

func (c withoutSchemas) Discovery() discovery.DiscoveryInterface {
	return noSchemas{c.Interface.Discovery()}
}

type noSchemas struct{ discovery.DiscoveryInterface }

func (c noSchemas) OpenAPIV3() openapi.Client { return c }

func (noSchemas) Paths() (map[string]openapi.GroupVersion, error) { return nil, nil }

// create returns the pod as the API server would store it.
func (s *server) create(ctx context.Context, pod *corev1.Pod) (*corev1.Pod, error) {
	pod = pod.DeepCopy()
	pod.Namespace = s.namespace.Name
	legacyscheme.Scheme.Default(pod)
	stored := &core.Pod{}
	if err := legacyscheme.Scheme.Convert(pod, stored, nil); err != nil {
		return nil, err
	}
	attributes := admission.NewAttributesRecord(
		stored,
		nil,
		corev1.SchemeGroupVersion.WithKind("Pod"),
		pod.Namespace,
		pod.Name,
		corev1.SchemeGroupVersion.WithResource("pods"),
		"",
		admission.Create,
		&metav1.CreateOptions{},
		false,
		nil,
	)
	scheme := admission.NewObjectInterfacesFromScheme(legacyscheme.Scheme)
	var rejections []error
	for range 2 { // the API server calls its plugins again after a change
		for _, p := range s.plugins {
			if m, ok := p.(admission.MutationInterface); ok {
				rejections = append(rejections, m.Admit(ctx, attributes, scheme))
			}
		}
	}
	options := podutil.GetValidationOptionsFromPodSpecAndMeta(&stored.Spec, nil, &stored.ObjectMeta, nil)
	rejections = append(rejections, validation.ValidatePodCreate(stored, options).ToAggregate())
	for _, p := range s.plugins {
		if v, ok := p.(admission.ValidationInterface); ok {
			rejections = append(rejections, v.Validate(ctx, attributes, scheme))
		}
	}
	rejections = append(rejections, quota.NewPodEvaluator(nil, clock.RealClock{}).Constraints(s.demanded, stored))
	result := &corev1.Pod{}
	if err := legacyscheme.Scheme.Convert(stored, result, nil); err != nil {
		return nil, err
	}
	if s.namespace.Labels["pod-security.kubernetes.io/enforce"] == "restricted" {
		rejections = append(rejections, admit(&result.ObjectMeta, &result.Spec))
	}
	if err := errors.Join(rejections...); err != nil {
		return result, fmt.Errorf("rejected: %w", err)
	}
	return result, nil
}
