// Package cgroup reads Linux control groups: version 1, version 2 and hybrid setups with both.
//
// [Open] finds the mounted hierarchies, [ParseMembership] the groups of a process, and
// [Tree.Lineage] the directories of these groups and of every visible ancestor. A [Group] reads its
// files. [Quota] and [MemoryLimit] are the limits of the calling process.
//
// A value that a group does not have is undefined and never 0: the root has no quota, v1 has no
// pressure, and a group has no limit until one is set. The files are described at
// https://docs.kernel.org/admin-guide/cgroup-v2.html and
// https://docs.kernel.org/admin-guide/cgroup-v1/.
//
// The package compiles everywhere, but control groups exist only on Linux.
package cgroup
