// Package diagnose says why a pool is full: it turns figures of a pool and of its machine into a
// verdict with the evidence in words, or says that the cause is undetermined.
//
// There are two axes, since a pool can be too small on a machine that is also short of CPU: [Pool]
// judges one pool over one window of time, and [Host] the machine. A [Judge] keeps what a pool
// looks like when it is well, and lets a verdict hold only when it comes back. Everything is a pure
// function of its arguments: nothing here reads a clock or a file.
//
// Figures that are not known are NaN, and no rule holds for NaN. So a pool that reports less gets
// fewer verdicts, and never a wrong one because a figure is missing.
//
// The rules and their thresholds were found with benchmarks/poolbench, which scores them on faults
// whose cause is known.
package diagnose
