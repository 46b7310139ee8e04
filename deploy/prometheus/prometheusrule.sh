#!/bin/sh
# Writes prometheusrule.yaml, which contains the groups of rules.yaml as a resource of the
# Prometheus Operator. `make generate` runs this script.
cd "$(dirname "$0")" || exit
{
	cat <<-'END'
	# Written from rules.yaml by make generate. Do not edit.
	apiVersion: monitoring.coreos.com/v1
	kind: PrometheusRule
	metadata:
	  name: poolgauge
	  labels:
	    app.kubernetes.io/name: poolgauge
	spec:
	END
	sed -n '/^groups:/,$ s/^./  &/p; /^$/p' rules.yaml
} >prometheusrule.yaml
