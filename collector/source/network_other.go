//go:build !linux

package source

import (
	"context"
	"math"
	"runtime"

	"github.com/shirou/gopsutil/v3/net"
)

// interfaceReader reads the counters with gopsutil.
type interfaceReader struct{}

func newInterfaceReader() *interfaceReader { return &interfaceReader{} }

func (*interfaceReader) read(ctx context.Context) (list []interfaceStats, err error) {
	if runtime.GOOS == "darwin" {
		return nil, nil // gopsutil would start a process in every collection
	}
	all, err := net.IOCountersWithContext(ctx, true)
	for i := range all {
		one := &all[i]
		list = append(list, interfaceStats{
			name: []byte(one.Name),
			in:   traffic{clamped(one.BytesRecv), clamped(one.PacketsRecv), clamped(one.Errin), clamped(one.Dropin)},
			out:  traffic{clamped(one.BytesSent), clamped(one.PacketsSent), clamped(one.Errout), clamped(one.Dropout)},
		})
	}
	return list, err
}

func clamped(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
