package source

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/internal/fixture"
)

// Every column has a different value, so that swapped columns are noticed. Interfaces that are not
// reported have values too.
func TestNetworkReportsInterfacesInUse(t *testing.T) {
	dir := t.TempDir()
	fixture.Write(t, dir, "net/dev", `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     900     901  902  903  904   905        906       907      908     909  910  911  912   913     914        915
  eth0:     100     101  102  103  104   105        106       107      108     109  110  111  112   113     114        115
ip6tnl0:      0       0   92   93    0      0          0         0        0       0   94   95    0     0       0          0
  tun0:     200     201    0    0    0     0          0         0        0       0    0    0    0     0       0          0
vethab:     800     801  802  803  804   805        806       807      808     809  810  811  812   813     814        815
`)
	fixture.Write(t, dir, "stat", "cpu 1 2 3 4\nbtime 1700000000\n")
	t.Setenv("HOST_PROC", dir)
	s := newSampler(t, filepath.Join(dir, "net"), collector.Named{Name: "network", Source: NewNetwork()})
	got := s.text(s.collect())
	want := `system.network.errors{network.interface.name=eth0,network.io.direction=receive} 102 since 2023-11-14T22:13:20
system.network.errors{network.interface.name=eth0,network.io.direction=transmit} 110 since 2023-11-14T22:13:20
system.network.errors{network.interface.name=tun0,network.io.direction=receive} 0 since 2023-11-14T22:13:20
system.network.errors{network.interface.name=tun0,network.io.direction=transmit} 0 since 2023-11-14T22:13:20
system.network.io{network.interface.name=eth0,network.io.direction=receive} 100 since 2023-11-14T22:13:20
system.network.io{network.interface.name=eth0,network.io.direction=transmit} 108 since 2023-11-14T22:13:20
system.network.io{network.interface.name=tun0,network.io.direction=receive} 200 since 2023-11-14T22:13:20
system.network.io{network.interface.name=tun0,network.io.direction=transmit} 0 since 2023-11-14T22:13:20
system.network.packet.dropped{network.interface.name=eth0,network.io.direction=receive} 103 since 2023-11-14T22:13:20
system.network.packet.dropped{network.interface.name=eth0,network.io.direction=transmit} 111 since 2023-11-14T22:13:20
system.network.packet.dropped{network.interface.name=tun0,network.io.direction=receive} 0 since 2023-11-14T22:13:20
system.network.packet.dropped{network.interface.name=tun0,network.io.direction=transmit} 0 since 2023-11-14T22:13:20
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestNetworkInterfacesAreBounded(t *testing.T) {
	dir := t.TempDir()
	table := ""
	for i := range maxInterfaces + 5 {
		table += fmt.Sprintf("eth%d: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n", i)
	}
	fixture.Write(t, dir, "net/dev", table)
	t.Setenv("HOST_PROC", dir)
	s := newSampler(t, dir, collector.Named{Name: "network", Source: NewNetwork()})
	for range 2 {
		if n, _ := matching(s.collect(), "system.network.io{", "receive"); n != maxInterfaces {
			t.Errorf("%d interfaces are reported, want %d", n, maxInterfaces)
		}
	}
}

func TestMalformedNetworkTableIsAnError(t *testing.T) {
	for name, line := range map[string]string{
		"too few columns": "eth0: 1 1 1 1 1 1 1 1 1 1 1\n",
		"not a number":    "eth0: 1 1 x 1 1 1 1 1 1 1 1 1 1 1 1 1\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fixture.Write(t, dir, "net/dev", line)
			t.Setenv("HOST_PROC", dir)
			s := newSampler(t, dir, collector.Named{Name: "network", Source: NewNetwork()})
			if points := s.collect(); len(points) != 0 || s.failures != 1 {
				t.Errorf("got %v and %d errors, want no point and an error", points, s.failures)
			}
		})
	}
}
