package certfile

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPool(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	server.Close()
	block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	for name, c := range map[string]struct {
		content string
		err     string
	}{
		"a certificate": {string(pem.EncodeToMemory(block)), ""},
		"not PEM":       {"hello", "no PEM certificates found in "},
		"missing file":  {"", "expected a file of PEM certificates: open "},
	} {
		path := filepath.Join(t.TempDir(), "ca.pem")
		if c.content != "" {
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		pool, err := Pool(path)
		if (err == nil) != (c.err == "") || err != nil && !strings.HasPrefix(err.Error(), c.err) {
			t.Errorf("%s: got error %v, want prefix %q", name, err, c.err)
		}
		if loaded := pool != nil &&
			len(pool.Subjects()) == 1; loaded != (c.err == "") { //nolint:staticcheck // not the system's pool
			t.Errorf("%s: got the pool %v", name, pool)
		}
	}
}
