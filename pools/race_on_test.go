//go:build race

package pools_test

const raceEnabled = true // sync.Pool drops things at random then
