// Package autosize gives a pool the number of slots that its load wants, within bounds that the
// user sets.
//
// Once in an interval it looks at the pool's Stats, and asks [diagnose.Advisor] which limit would
// suit. It raises the limit at most twofold at once, and looks whether more requests are served
// then: if not, as when the tasks wait for each other at what they share, it goes back and stays
// there for a while, longer each time. It lowers the limit in steps of a quarter, once half a
// minute has shown that fewer slots are enough (thirty intervals).
//
// It changes nothing while a CPU quota stops the process, while uses fail, leak or are held up by
// one large request, or while too few uses end to tell. Where only the verdict "undetermined"
// stands in the way, since the pool is full and does not know on what its tasks spend their time,
// raising the limit is what determines it.
package autosize
