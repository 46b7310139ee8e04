// Package prometheus tests the dashboards, rules and alerts of poolgauge against a real Prometheus:
// real OTLP goes through its receiver and translation into its database, and its engine answers the
// queries. It is a module of its own, so that poolgauge does not depend on Prometheus.
package prometheus

//go:generate ../../deploy/prometheus/prometheusrule.sh
