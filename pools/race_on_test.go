//go:build race

package pools_test

const raceEnabled = true // sync.Pool then drops items at random
