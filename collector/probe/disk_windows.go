package probe

import "os"

// lockFile does nothing: Windows does not remove files that are open.
func lockFile(*os.File) bool { return true }
