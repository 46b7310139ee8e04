package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

func directory(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("expected a directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("expected a directory, got the file %q", path)
	}
	return nil
}

// directoryToBe is a directory, or a path where one can be made.
func directoryToBe(path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && path != "" {
		return nil
	}
	return directory(path)
}

func readable(path string) error {
	if _, err := os.ReadFile(path); err != nil { //nolint:gosec // the user names the file
		return fmt.Errorf("expected a file that can be read: %w", err)
	}
	return nil
}

func certificates(path string) error {
	pem, err := os.ReadFile(path) //nolint:gosec // the user names the file
	if err != nil {
		return fmt.Errorf("expected a file of PEM certificates: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return fmt.Errorf("expected a file of PEM certificates, found none in %q", path)
	}
	return nil
}
