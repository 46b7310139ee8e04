package kernfile

import "syscall"

// handle is the platform's type of file descriptor.
type handle = syscall.Handle
