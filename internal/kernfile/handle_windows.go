package kernfile

import "syscall"

// handle is an open file in system calls.
type handle = syscall.Handle
