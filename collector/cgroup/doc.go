// Package cgroup reads Linux control groups: version 1, version 2 and both side by side (hybrid).
//
// [Open] finds the hierarchies that are mounted, [ParseMembership] the groups of a process,
// [Tree.Lineage] the directories of these groups and of every ancestor that is visible, and a
// [Group] reads its files. [Quota] and [MemoryLimit] are the limits of the calling process.
//
// A value that a group does not have is undefined and never 0: the root has no quota, v1 has no
// pressure, and a group has no limit until one is set. The files are described at
// https://docs.kernel.org/admin-guide/cgroup-v2.html and
// https://docs.kernel.org/admin-guide/cgroup-v1/.
//
// The package imports the standard library and compiles everywhere; control groups exist on Linux
// only.
package cgroup
