package k8s

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Every overlay builds to the same bytes with the kustomize of each kubectl from 1.29 to 1.36, and
// with that of the system. Each version is built from its own module, testdata/kustomize/VERSION.
func TestEveryKustomizeBuildsTheSame(t *testing.T) {
	overlays := []string{
		"../../deploy/k8s/example", "../../deploy/k8s/injection", "../../deploy/k8s/daemonset", "../../deploy/gateway",
		"testdata/bare", "testdata/everything", "testdata/pinned", "testdata/opted-out", "testdata/prefixed",
	}
	newest := map[string][]byte{}
	for _, overlay := range overlays {
		newest[overlay] = kustomized(t, overlay, kustomize(t, "5.8.1"), "build")
	}
	// kubectl 1.28 has 5.0.1, 1.29 and 1.30 a commit after 5.0.3, 1.31 has 5.4.2, 1.32 5.5, 1.33
	// 5.6, 1.34 5.7.1, 1.35 and 1.36 5.8
	for _, version := range []string{"5.0.1", "5.4.2", "5.5.0", "5.6.0", "5.7.1"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			program := kustomize(t, version)
			for _, overlay := range overlays {
				if got := kustomized(t, overlay, program, "build"); !bytes.Equal(got, newest[overlay]) {
					t.Errorf("%s builds to\n%s\nwant, as with 5.8.1:\n%s", overlay, got, newest[overlay])
				}
			}
		})
	}
	t.Run("kubectl", func(t *testing.T) {
		program, err := exec.LookPath("kubectl")
		if err != nil {
			t.Skip(err)
		}
		for _, overlay := range overlays {
			if got := kustomized(t, overlay, program, "kustomize"); !bytes.Equal(got, newest[overlay]) {
				t.Errorf("%s builds to\n%s\nwant, as with 5.8.1:\n%s", overlay, got, newest[overlay])
			}
		}
	})
}

// kustomize builds the given version of kustomize and returns its path. Go's build cache keeps the
// packages.
func kustomize(t *testing.T, version string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kustomize")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "sigs.k8s.io/kustomize/kustomize/v5")
	build.Dir = "testdata/kustomize/" + version
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly -buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building kustomize: %v\n%s", err, out)
	}
	return path
}

func kustomized(t *testing.T, overlay, program, verb string) []byte {
	t.Helper()
	build := exec.CommandContext(t.Context(), program, verb, "--load-restrictor", "LoadRestrictionsNone", overlay)
	var stderr bytes.Buffer
	build.Stderr = &stderr
	out, err := build.Output()
	if err != nil {
		t.Fatalf("%s of %s: %v\n%s", verb, overlay, err, &stderr)
	}
	return out
}
