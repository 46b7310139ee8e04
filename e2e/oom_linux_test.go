package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/otlptest"
)

// pod is a set of containers in podman that share a PID namespace, as the containers of a pod with
// shareProcessNamespace do.
type pod struct {
	name, rootfs string
	env          []string // passed to podman
}

// newPod creates a pod for statically linked programs. programs maps the name of each to the
// directory of its module and its package, separated by a space. It skips the test if podman cannot
// run containers.
func newPod(t *testing.T, programs map[string]string) *pod {
	t.Helper()
	if _, err := exec.LookPath("podman"); err != nil {
		t.Skip("needs podman")
	}
	p := &pod{name: fmt.Sprintf("poolgauge-oom-%d", os.Getpid()), rootfs: t.TempDir()}
	for program, source := range programs {
		module, source, _ := strings.Cut(source, " ")
		build := exec.CommandContext(
			t.Context(),
			"go",
			"build",
			"-C",
			module,
			"-tags",
			"grpcnotrace,nethttpomithttp2",
			"-o",
			filepath.Join(p.rootfs, program),
			source,
		)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := build.CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", source, err, text)
		}
	}
	if _, err := p.run("first", "/hog"); err == nil {
		return p.cleanUp(t)
	}
	// Some machines need runc and explicit limits; see deploy/k8s/podman.sh.
	_, _ = p.podman("rm", "-f", "-t", "0", p.name+"-first")
	settings := filepath.Join(t.TempDir(), "containers.conf")
	const old = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n[engine]\nruntime = \"runc\"\n"
	if err := os.WriteFile(settings, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	p.env = []string{"CONTAINERS_CONF=" + settings}
	if _, err := p.run("first", "/hog"); err != nil {
		_, _ = p.podman("rm", "-f", "-t", "0", p.name+"-first")
		t.Skipf("podman cannot run containers here: %v", err)
	}
	return p.cleanUp(t)
}

func (p *pod) cleanUp(t *testing.T) *pod {
	t.Cleanup(func() { p.remove("first") })
	return p
}

func (p *pod) podman(args ...string) (string, error) {
	// podman sometimes hangs on some machines
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "podman", args...)
	cmd.Env = append(os.Environ(), p.env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("podman %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(text)), err
}

// run starts a container and returns its ID. The first argument that starts with a slash is the
// program in the container; the arguments before it are podman's options, and those after it the
// program's.
func (p *pod) run(container string, args ...string) (id string, err error) {
	at := 0
	for !strings.HasPrefix(args[at], "/") {
		at++
	}
	all := append([]string{"run", "-d", "--name", p.name + "-" + container}, args[:at]...)
	return p.podman(append(append(all, "--rootfs", p.rootfs), args[at:]...)...)
}

func (p *pod) mustRun(t *testing.T, container string, args ...string) (id string) {
	t.Helper()
	id, err := p.run(container, append([]string{"--pid", "container:" + p.name + "-first"}, args...)...)
	t.Cleanup(func() { p.remove(container) })
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (p *pod) remove(container string) { _, _ = p.podman("rm", "-f", "-t", "0", p.name+"-"+container) }

// An OOM kill of a container's main process is counted, whether or not the sidecar can see the
// host's cgroups.
func TestOOMKillOfAContainer(t *testing.T) {
	p := newPod(t, map[string]string{"hog": ". ./testdata/hog", "sidecar": ".. ./cmd/sidecar"})
	for _, c := range []struct {
		name    string
		mounts  []string
		setting []string
	}{
		{"with the host's cgroups", []string{"--cgroupns=host", "--volume=/sys/fs/cgroup:/host/cgroup:ro"}, []string{"--cgroup-root=/host/cgroup"}},
		{"without the host's cgroups", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := newUpstream()
			addr := u.listen(t, "127.0.0.1:0", nil).Addr
			app := p.mustRun(t, "app", "--network=none", "--memory=32m", "--memory-swap=32m", "/hog")
			args := append([]string{"--network=host", "--env=OTEL_EXPORTER_OTLP_ENDPOINT=http://" + addr}, c.mounts...)
			args = append(args, "/sidecar", "--interval=500ms", "--relay-grpc-address=off", "--relay-http-address=off",
				"--probe-cpu-interval=0", "--probe-disk-interval=0", "--probe-parallelism-interval=0")
			p.mustRun(t, "sidecar", append(args, c.setting...)...)
			defer func() {
				if t.Failed() {
					logs, err := p.podman("logs", p.name+"-sidecar")
					t.Logf("the sidecar's log: %s (%v)", logs, err)
				}
			}()
			kills := func(batches [][]otlptest.Point) (n float64, seen bool) {
				for _, batch := range batches {
					for _, point := range batch {
						if point.Metric == catalog.CgroupMemoryEvents.Name &&
							point.Attributes[string(catalog.CgroupEventKey)] == "oom_kill" &&
							strings.HasPrefix(app, point.Attributes["container.id"]) &&
							point.Attributes["container.id"] != "" {
							n, seen = point.Value, true
						}
					}
				}
				return n, seen
			}
			u.await(t, "the app's number of OOM kills", func(batches [][]otlptest.Point) bool {
				_, seen := kills(batches)
				return seen
			})
			if _, err := p.podman("kill", "-s", "USR1", p.name+"-app"); err != nil {
				t.Fatal(err)
			}
			u.await(t, "the OOM kill", func(batches [][]otlptest.Point) bool {
				n, _ := kills(batches)
				return n == 1
			})
		})
	}
}
