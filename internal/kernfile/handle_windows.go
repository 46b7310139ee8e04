package kernfile

import "syscall"

// handle is what the system calls know an open file by.
type handle = syscall.Handle
