// Package cgroup reads Linux control groups (cgroups): v1, v2, and hybrid setups with both.
//
// [Open] finds the mounted hierarchies, [ParseMembership] finds the cgroups of a process, and
// [Tree.Lineage] finds the directories of these cgroups and of every visible ancestor. The methods
// of [Group] read a cgroup's files. [Quota] and [MemoryLimit] return limits of the calling process.
//
// A value that a cgroup does not have is undefined and never 0: the root has no quota, v1 has no
// pressure, and a cgroup has no limit until one is set. The files are described at
// https://docs.kernel.org/admin-guide/cgroup-v2.html and
// https://docs.kernel.org/admin-guide/cgroup-v1/.
//
// The package compiles everywhere, but cgroups exist only on Linux.
package cgroup
