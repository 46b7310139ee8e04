// Package certfile reads certificate files.
package certfile

import (
	"crypto/x509"
	"fmt"
	"os"
)

// Pool returns the certificates in the PEM file at path. It returns an error if the file contains
// none.
func Pool(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("expected a file of PEM certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no PEM certificates found in %q", path)
	}
	return pool, nil
}
