// Package diagnose says why a pool is full: it turns the figures of a pool and of its machine into
// a verdict, with the evidence in words, or says that the cause is undetermined.
//
// There are two kinds of verdicts, since a pool can be too small on a machine that is also short of
// CPU: [Pool] judges one pool over one window of time, and [Host] judges the machine. A [Judge]
// remembers what is usual for a pool, and confirms a verdict only if it recurs. Every result
// depends only on the arguments: nothing in this package reads a clock or a file.
//
// Unknown figures are NaN, and no rule holds for NaN. So a pool that reports less gets fewer
// verdicts, and never a wrong one because a figure is missing.
//
// The rules and their thresholds were derived with benchmarks/poolbench, which scores them on
// faults whose cause is known.
package diagnose
