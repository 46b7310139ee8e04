// Package autosize adapts the number of slots of a pool to its load, within bounds that the user
// sets.
//
// Once per interval it reads the pool's Stats and asks [diagnose.Advisor] which limit would suit.
// It raises the limit at most twofold at a time, and then checks whether more requests are served.
// If not, as when tasks wait for each other at a shared resource, it returns to the previous limit
// and stays there for a while, longer each time. It lowers the limit in steps of a quarter, once
// half a minute (thirty intervals) has shown that fewer slots are enough.
//
// It changes nothing while a CPU quota throttles the process, while uses fail, leak or are held up
// by one large request, or while too few uses end to decide. If the pool is full but the verdict is
// "undetermined", because the pool does not report how its tasks spend their time, it raises the
// limit to find out.
package autosize
