// Package probe runs small synthetic probes on a schedule: what a CPU, a disk, a name server or a
// peer answers right now, seen from where the sidecar runs. docs/probes.md says what each figure
// may be taken to mean, and what it may not.
//
// # Cost
//
// Every run is paid for with the CPU time that it used, by the clock of its thread. Each probe has
// an account that earns its share of [Config.Budget] as time goes by; a probe in debt is skipped,
// and counted as skipped, until it has earned its debt back. So over any length of time a probe
// uses at most its share and one run more.
//
// # Goroutines
//
// One goroutine keeps the schedule and each run has a goroutine of its own, at most one for a
// probe. A run that does not return, on a hung disk say, holds up nothing but the next runs of its
// own probe, which are skipped.
package probe
