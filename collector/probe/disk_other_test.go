//go:build !linux

package probe

const canDropCache = false
