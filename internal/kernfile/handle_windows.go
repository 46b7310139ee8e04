package kernfile

import "syscall"

// handle is the system's descriptor of an open file.
type handle = syscall.Handle
