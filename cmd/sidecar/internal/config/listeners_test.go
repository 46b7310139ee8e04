package config

import (
	"net"
	"os"
	"strings"
	"testing"
)

// A listener on every interface is reachable at each address of the machine. A listener on a
// loopback address is reachable only at loopback addresses.
func TestWhichAddressesReachAListener(t *testing.T) {
	for _, c := range []struct {
		host, own string
		want      bool
	}{
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1", "localhost", true},
		{"localhost", "0.0.0.0", true},
		{"0.0.0.0", "127.0.0.1", true},
		{"192.0.2.1", "0.0.0.0", false},
		{"::1", "", true},
	} {
		if got := reaches(c.host, c.own); got != c.want {
			t.Errorf("a connection to %s reaches a listener on %q: %v, want %v", c.host, c.own, got, c.want)
		}
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		ip := a.(*net.IPNet).IP
		if got := reaches(ip.String(), "0.0.0.0"); !got {
			t.Errorf("a connection to %s does not reach a listener on every interface", ip)
		}
		if got := reaches(ip.String(), "127.0.0.1"); got != ip.IsLoopback() {
			t.Errorf("a connection to %s reaches a listener on 127.0.0.1: %v", ip, got)
		}
	}
}

func TestListenerCertificates(t *testing.T) {
	one, two := selfSigned(t), selfSigned(t)
	if config, err := mustParse(t, nil, nil).RelayTLS(); config != nil || err != nil {
		t.Errorf("without certificates: got %v, %v, want nil, nil", config, err)
	}
	args := []string{"--relay-certificate", one.cert, "--relay-key", one.key}
	if config, err := mustParse(
		t,
		args,
		nil,
	).RelayTLS(); err != nil || len(config.Certificates) != 1 ||
		config.ClientCAs != nil {
		t.Errorf("got %+v, error %v; want one certificate and no client CAs", config, err)
	}
	s := mustParse(t, append(args, "--relay-client-ca", two.cert), nil)
	if config, err := s.RelayTLS(); err != nil || config.ClientCAs == nil || config.ClientAuth == 0 {
		t.Errorf("got %+v, error %v; want client certificates to be required", config, err)
	}
	if err := os.Remove(two.cert); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RelayTLS(); err == nil || !strings.HasPrefix(err.Error(), "--relay-client-ca: ") {
		t.Errorf("after the CA file was removed: got error %v, want one about --relay-client-ca", err)
	}
	for want, args := range map[string][]string{
		"--relay-certificate and --relay-key: expected both or neither":   {"--relay-certificate", one.cert},
		"--relay-client-ca: requires --relay-certificate and --relay-key": {"--relay-client-ca", one.cert},
		"--relay-key: cannot load the certificate and its private key: ":  {"--relay-certificate", one.cert, "--relay-key", selfSigned(t).key},
	} {
		if _, err := parse(args, nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got error %v, want %s", args, err, want)
		}
	}
}
