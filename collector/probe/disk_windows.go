package probe

import "os"

// lockFile returns true without locking the file: Windows refuses to remove an open file anyway.
func lockFile(*os.File) bool { return true }
