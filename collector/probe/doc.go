// Package probe runs small probes on a schedule. They measure how quickly the sidecar gets CPU
// time, and how quickly a disk, a name server or another service responds to it. docs/probes.md
// says what each metric shows and what it does not.
//
// # Cost
//
// Each probe has a share of [Config.Budget]. After a run that cost more than its share, runs are
// skipped, and counted as skipped, until the share has paid for it. In any period, a probe
// therefore uses at most its share plus the CPU time of one run.
//
// # Goroutines
//
// One goroutine runs the schedule. Each run has its own goroutine, at most one per probe. A run
// that does not return, for example on a hung disk, delays only its own probe, whose next runs are
// skipped.
package probe
