// Command hog waits for SIGUSR1, and then allocates memory until it is killed.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	grow := make(chan os.Signal, 1)
	signal.Notify(grow, syscall.SIGUSR1)
	<-grow
	for all := []byte{1}; ; {
		all = append(all, all...)
	}
}
