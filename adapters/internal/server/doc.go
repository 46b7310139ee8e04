//go:build !unix

// Package server starts servers for tests. It works only on Unix.
package server
