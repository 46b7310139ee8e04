// Package diagnose determines why a pool is full. From measurements of a pool and its machine, it
// derives a verdict and a sentence with the evidence, or finds that the cause is undetermined.
//
// There are two kinds of verdicts, since a pool can be too small on a machine that is also short of
// CPU time: [Pool] judges one pool over one window of time, and [Host] judges the machine. A
// [Judge] learns what is usual for a pool, and confirms a verdict only if it recurs. Nothing in
// this package reads a clock or a file: results depend only on what the caller passes.
//
// Unknown values are NaN, and no rule holds for NaN. So a pool that reports less gets fewer
// verdicts, but never a wrong one because a value is missing.
//
// The rules and their thresholds were derived with benchmarks/poolbench, which scores verdicts on
// faults whose cause is known.
package diagnose
