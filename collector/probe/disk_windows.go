package probe

import "os"

// lockFile does nothing: Windows refuses to remove an open file.
func lockFile(*os.File) bool { return true }
