// Package source reads what an app cannot see from inside: the host, its network interfaces, the
// containers and processes of a pod, their control groups, pressure, and file systems.
//
// [Host] and [Network] are sources by themselves. A [Pod] finds the containers and processes that
// belong together, and has a source for each kind of figure of theirs.
package source
