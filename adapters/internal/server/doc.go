//go:build !unix

// Package server starts servers for tests, on Unix only.
package server
