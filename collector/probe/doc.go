// Package probe runs small probes on a schedule. They measure how a CPU, a disk, a name server or
// another service responds to the sidecar. docs/probes.md says what each metric shows and what it
// does not.
//
// # Cost
//
// Each probe has a share of [Config.Budget], and each run is charged the CPU time of its thread. A
// probe that has overspent is skipped, and counted as skipped, until its budget has grown enough.
// Over any period a probe therefore uses at most its share plus one run.
//
// # Goroutines
//
// One goroutine runs the schedule. Each run has its own goroutine, at most one per probe. A run
// that does not return, for example on a hung disk, delays only its own probe, whose next runs are
// skipped.
package probe
