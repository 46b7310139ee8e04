package main

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
)

func TestProbesTrustTheConfiguredCertificate(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.pem"), filepath.Join(dir, "bad.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	for path, data := range map[string][]byte{good: pem.EncodeToMemory(block), bad: []byte("not a certificate")} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		path         string
		roots, fails bool
	}{
		"none":          {"", false, false},
		"a certificate": {good, true, false},
		"damaged":       {bad, false, true},
		"missing":       {filepath.Join(dir, "missing.pem"), false, true},
	} {
		got, err := probeTLS(&config.Settings{ProbeCertificate: c.path, ProbeSkipVerify: true})
		if (err != nil) != c.fails || c.fails && !strings.HasPrefix(err.Error(), "--probe-certificate: ") {
			t.Errorf("%s: got error %v, want an error about --probe-certificate: %t", name, err, c.fails)
		}
		if (got.Roots != nil) != c.roots || !got.SkipVerify {
			t.Errorf("%s: got %+v, want roots: %t, and SkipVerify", name, got, c.roots)
		}
	}
}
