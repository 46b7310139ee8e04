package source

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	psnet "github.com/shirou/gopsutil/v3/net"
)

// Listener describes the process that listens on the given TCP address, for example as "sidecar,
// process 4711". It returns "" if it finds no such process.
func Listener(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	all, _ := psnet.ConnectionsWithContext(ctx, "tcp")
	for i := range all {
		if all[i].Status != "LISTEN" || strconv.FormatUint(uint64(all[i].Laddr.Port), 10) != port {
			continue
		}
		if all[i].Pid == 0 {
			return "a process of another user"
		}
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", all[i].Pid)) // Linux only
		return strings.TrimPrefix(fmt.Sprintf("%s, process %d", strings.TrimSpace(string(name)), all[i].Pid), ", ")
	}
	return ""
}
