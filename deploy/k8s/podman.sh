#!/usr/bin/env bash
# Tests deploy/k8s/example in podman: builds the images twice and compares them, runs the pods, and
# waits until points of the app and of every sidecar have arrived at an OTLP sink. Exits with 77 if
# podman cannot run containers here.
# podman supports neither native sidecars nor their order of termination; e2e/k8s/podman.go changes
# the manifests accordingly.
set -euo pipefail
cd "$(dirname "$0")/../.."

run=poolgauge-$$ # names the network, the sink and its image
work=$(mktemp -d)
cleanup() {
	if [[ -s $work/pods.yaml ]]; then podman kube down "$work/pods.yaml"; fi
	podman rm -f -t 0 "$run" "$run-flooded"
	podman volume rm -f "$run-queue"
	podman network rm -f "$run"
	podman rmi -f "localhost/$run"
	rm -rf "$work"
}
trap 'set +e; cleanup >/dev/null 2>&1' EXIT # a failure of cleanup must not hide the exit code

say() { printf '\n== %s\n' "$*"; }
skip() {
	echo "skipped: $*"
	exit 77
}
command -v podman >/dev/null || skip "podman is not installed"

say "an upstream"
(cd e2e/k8s && CGO_ENABLED=0 go build -o "$work/sink/" ./sink ./flood)
printf 'FROM scratch\nCOPY sink flood /\nUSER 65532:65532\nENTRYPOINT ["/sink"]\n' >"$work/sink/Dockerfile"
podman build -q -t "localhost/$run" "$work/sink"

# Starts the sink, with the podman features that the pods need. On some machines, that works only
# with runc and lower ulimits; these are tried if the user has not configured podman.
start() {
	podman network create "$run" >/dev/null &&
		podman run -d --name "$run" --network "$run" --network-alias otel-collector.monitoring \
			--memory 64m --read-only --cap-drop all --security-opt no-new-privileges "localhost/$run"
}
if ! start 2>"$work/why" && [[ -z ${CONTAINERS_CONF:-} ]] && command -v runc >/dev/null; then
	podman rm -f "$run" >/dev/null 2>&1 || true
	podman network rm -f "$run" >/dev/null 2>&1 || true
	printf '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n[engine]\nruntime = "runc"\n' >"$work/containers.conf"
	export CONTAINERS_CONF=$work/containers.conf
	start 2>"$work/why" || true
fi
[[ $(podman inspect -f '{{.State.Running}}' "$run" 2>/dev/null) == true ]] || skip "podman cannot run a container: $(tail -n 1 "$work/why")"

say "images: the builds are reproducible"
ids() { grep -ho 'image: ghcr.io/.*' deploy/k8s/sidecar/sidecar.yaml deploy/k8s/example/orders.yaml | while read -r _ image; do podman image inspect -f "$image {{.Id}}" "$image"; done; }
make -s image IMAGE_FLAGS="-q --no-cache"
first=$(ids)
rm -rf bin/image
make -s image IMAGE_FLAGS="-q --no-cache"
echo "$first"
[[ $(ids) == "$first" ]] || {
	echo "the second build has other images:"
	ids
	exit 1
}

say "the example"
(cd e2e/k8s && go run ./podman ../../deploy/k8s/example) >"$work/pods.yaml"
podman kube play --network "$run" "$work/pods.yaml" >/dev/null

# Patterns for the sink's lines, which consist of service, pod and scope.
wanted=("orders orders .*/instrument$" "poolgauge-sidecar orders " "poolgauge-sidecar payments " "poolgauge-sidecar load ")
arrived() { podman logs "$run" 2>/dev/null | grep -q -- "$1"; }
for want in "${wanted[@]}"; do
	for ((left = 60; left > 0; left--)); do
		arrived "$want" && break
		sleep 1
	done
	if ((left == 0)); then
		echo "no point that matches \"$want\" arrived within a minute. These arrived:"
		podman logs "$run"
		podman ps -a
		for container in {orders,payments,load}-poolgauge; do
			echo "-- $container"
			podman logs "$container"
		done 2>&1
		exit 1
	fi
done
podman logs "$run"

say "every sidecar is healthy"
for pod in orders payments load; do
	podman run --rm --network "$run" "localhost/$run" "http://$pod:4319/healthz"
done

say "memory of the sidecars"
podman stats --no-stream --format '{{.Name}} {{.MemUsage}}' {orders,payments,load}-poolgauge

say "orders were accepted"
podman stop -t 10 load-load >/dev/null
podman logs load-load
podman logs load-load | grep -q ' [1-9][0-9]* accepted'

say "floods of requests do not kill a sidecar with 64 MiB"
podman run -d --name "$run-flooded" --network "$run" --memory 64m --memory-swap 64m --read-only --cap-drop all -v "$run-queue:/queue:U" \
	-e OTEL_EXPORTER_OTLP_ENDPOINT=http://otel-collector.monitoring:4317 -e POOLGAUGE_QUEUE_DIR=/queue -e POOLGAUGE_RELAY_HTTP_ADDRESS=:4318 \
	-e POOLGAUGE_PROBE_DISK_INTERVAL=0 "$(sed -n 's/.*image: //p' deploy/k8s/sidecar/sidecar.yaml)" >/dev/null
for flood in "48 2000" "64 500" "48 35000"; do
	read -r connections points <<<"$flood"
	podman run --rm --network "$run" --entrypoint /flood "localhost/$run" -connections "$connections" -points "$points" -for 8s "http://$run-flooded:4318/v1/metrics"
	podman stats --no-stream --format '{{.MemUsage}}' "$run-flooded"
	[[ $(podman inspect -f '{{.State.Running}} {{.State.OOMKilled}}' "$run-flooded") == "true false" ]] || {
		podman inspect -f '{{json .State}}' "$run-flooded"
		podman logs "$run-flooded"
		exit 1
	}
done

say "points arrive from the app and from every sidecar"
