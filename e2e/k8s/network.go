package k8s

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// network holds the NetworkPolicies of one namespace. It supports pod selectors, and ports given by
// name or number, but neither other namespaces nor addresses.
type network []*networkingv1.NetworkPolicy

func networkOf(objects []runtime.Object) (n network) {
	for _, object := range objects {
		if p, ok := object.(*networkingv1.NetworkPolicy); ok {
			n = append(n, p)
		}
	}
	return n
}

// allows reports whether one pod (from) may connect to port, a container port of another pod (to).
// The policies of both pods must allow the connection.
func (n network) allows(from, to *corev1.PodTemplateSpec, port corev1.ContainerPort) bool {
	return n.allowsEgress(from, to, port) && n.allowsIngress(from, to, port)
}

// allowsEgress reports whether the policies of one pod (from) allow it to connect to port of
// another pod (to), which is nil for a peer outside the namespace.
func (n network) allowsEgress(from, to *corev1.PodTemplateSpec, port corev1.ContainerPort) bool {
	restricted := false
	for _, p := range n {
		if !selects(&p.Spec.PodSelector, from) || !hasType(p, networkingv1.PolicyTypeEgress) {
			continue
		}
		restricted = true
		for _, rule := range p.Spec.Egress {
			if matchesPeer(rule.To, to) && matchesPort(rule.Ports, port) {
				return true
			}
		}
	}
	return !restricted
}

// allowsIngress reports whether the policies of one pod (to) allow another pod (from) to connect to
// its port. from is nil for a peer outside the namespace.
func (n network) allowsIngress(from, to *corev1.PodTemplateSpec, port corev1.ContainerPort) bool {
	restricted := false
	for _, p := range n {
		if !selects(&p.Spec.PodSelector, to) || !hasType(p, networkingv1.PolicyTypeIngress) {
			continue
		}
		restricted = true
		for _, rule := range p.Spec.Ingress {
			if matchesPeer(rule.From, from) && matchesPort(rule.Ports, port) {
				return true
			}
		}
	}
	return !restricted
}

func selects(s *metav1.LabelSelector, pod *corev1.PodTemplateSpec) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && pod != nil && selector.Matches(labels.Set(pod.Labels))
}

func hasType(p *networkingv1.NetworkPolicy, kind networkingv1.PolicyType) bool {
	for _, t := range p.Spec.PolicyTypes {
		if t == kind {
			return true
		}
	}
	return false
}

func matchesPeer(peers []networkingv1.NetworkPolicyPeer, pod *corev1.PodTemplateSpec) bool {
	for _, p := range peers {
		if p.PodSelector != nil && p.NamespaceSelector == nil && selects(p.PodSelector, pod) {
			return true
		}
	}
	return len(peers) == 0
}

func matchesPort(ports []networkingv1.NetworkPolicyPort, port corev1.ContainerPort) bool {
	for _, p := range ports {
		protocol := p.Protocol == nil || *p.Protocol == port.Protocol
		if protocol &&
			(p.Port == nil || p.Port.StrVal != "" && p.Port.StrVal == port.Name || p.Port.StrVal == "" && p.Port.IntVal == port.ContainerPort) {
			return true
		}
	}
	return len(ports) == 0
}
