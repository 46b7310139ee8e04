package k8s

import (
	"context"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
)

// mutator is an admission policy, compiled and run by the API server's code, for a namespace that
// its binding selects.
type mutator struct {
	*admission.Handler

	compiler  *cel.CompositedCompiler
	matches   matchconditions.Matcher
	patcher   patch.Patcher
	namespace *corev1.Namespace
}

func newMutator(p *admissionv1.MutatingAdmissionPolicy, namespace *corev1.Namespace) (*mutator, error) {
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		return nil, err
	}
	options, stored := cel.OptionalVariableDeclarations{}, environment.StoredExpressions
	var variables []cel.NamedExpressionAccessor
	for _, v := range p.Spec.Variables {
		variables = append(variables, &validating.Variable{Name: v.Name, Expression: v.Expression})
	}
	compiler.CompileAndStoreVariables(variables, options, stored)
	var conditions []cel.ExpressionAccessor
	for i := range p.Spec.MatchConditions {
		conditions = append(conditions, (*matchconditions.MatchCondition)(&p.Spec.MatchConditions[i]))
	}
	fail := admissionv1.Fail // an error in an expression fails the test
	matches := matchconditions.NewMatcher(
		compiler.CompileCondition(conditions, options, stored),
		&fail,
		"policy",
		"validate",
		p.Name,
	)
	options.HasPatchTypes = true
	mutation := compiler.CompileMutatingEvaluator(
		&patch.JSONPatchCondition{Expression: p.Spec.Mutations[0].JSONPatch.Expression},
		options,
		stored,
	)
	return &mutator{
		admission.NewHandler(admission.Create),
		compiler,
		matches,
		patch.NewJSONPatcher(mutation),
		namespace,
	}, nil
}

// Admit implements admission.MutationInterface.
func (m *mutator) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	versioned, err := admission.NewVersionedAttributes(a, corev1.SchemeGroupVersion.WithKind("Pod"), o)
	if err != nil {
		return err
	}
	ctx = m.compiler.CreateContext(ctx)
	if match := m.matches.Match(ctx, versioned, nil, nil); match.Error != nil || !match.Matches {
		return match.Error
	}
	patched, err := m.patcher.Patch(ctx, patch.Request{
		MatchedResource: a.GetResource(), VersionedAttributes: versioned, ObjectInterfaces: o, Namespace: m.namespace,
	}, celconfig.RuntimeCELCostBudget)
	if err != nil {
		return err
	}
	legacyscheme.Scheme.Default(patched)
	return legacyscheme.Scheme.Convert(patched, a.GetObject(), nil)
}
