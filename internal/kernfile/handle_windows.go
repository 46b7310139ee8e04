package kernfile

import "syscall"

// handle is an open file, as system calls represent it.
type handle = syscall.Handle
