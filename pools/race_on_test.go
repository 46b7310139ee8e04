//go:build race

package pools_test

const raceEnabled = true // under the race detector, sync.Pool drops items at random
