// Package source contains sources of metrics that an app cannot easily collect from within its own
// process: metrics of the host, its network interfaces, the containers and processes of a pod,
// their cgroups, pressure, and file systems.
//
// [Host] and [Network] are sources themselves. A [Pod] finds the containers and processes of the
// sidecar's pod, and has a separate source for each kind of metric about them.
package source
