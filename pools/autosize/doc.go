// Package autosize adapts a pool's number of slots to its load, within bounds that the program
// sets.
//
// Once per interval, a [Resizer] reads the pool's Stats and asks a [diagnose.Advisor] for a
// recommended limit. Each step at most doubles the limit. The Resizer then checks whether the pool
// serves more requests. If it does not, for example because tasks wait for a shared resource, the
// Resizer returns to the previous limit and stays there for a while, longer each time. It lowers
// the limit by at most a quarter at a time, once thirty intervals (half a minute by default) have
// shown that fewer slots are enough.
//
// A Resizer changes nothing while a CPU quota throttles the process, while uses fail or leak, while
// one large request holds up the others, or while too few uses end for a decision. If the pool is
// full but the verdict is "undetermined", because the pool does not report how its tasks spend
// their time, the Resizer tries a higher limit.
package autosize
