// Package prometheus tests what is deployed with poolgauge, dashboards, rules and alerts, against a
// real Prometheus: real OTLP goes through its receiver and translation into its database, and its
// engine answers. It is a module of its own, so that Prometheus stays out of ours.
package prometheus

//go:generate ../../deploy/prometheus/prometheusrule.sh
