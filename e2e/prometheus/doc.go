// Package prometheus tests the dashboards, rules and alerts of poolgauge with a real Prometheus:
// OTLP goes through Prometheus's receiver and translation into its database, and its engine
// evaluates the queries. It is a separate module, so that poolgauge does not depend on Prometheus.
package prometheus

//go:generate ../../deploy/prometheus/prometheusrule.sh
