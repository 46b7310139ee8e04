package probe

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
)

func TestParseTCP(t *testing.T) {
	for in, want := range map[string]string{
		"db.example:5432":        "db.example 5432",
		"10.0.0.1:80":            "10.0.0.1 80",
		"[2001:db8::1]:443":      "2001:db8::1 443",
		"[fe80::1%eth0]:443":     "fe80::1%eth0 443",
		"my_service.ns.svc.:53":  "my_service.ns.svc. 53",
		"db.example":             "",
		"db.example:":            "",
		"db.example:0":           "",
		"db.example:65536":       "",
		"db.example:http":        "",
		":80":                    "",
		"2001:db8::1:443":        "",
		"300.0.0.1:80":           "",
		"a b:80":                 "",
		"-a:80":                  "",
		"a..b:80":                "",
		"http://db.example:5432": "",
		"user:secret@db:5432":    "",
		"":                       "",
	} {
		host, port, err := ParseTCP(in)
		checkParsed(t, in, strings.TrimSpace(host+" "+port), want, err)
	}
}

func TestParseDNS(t *testing.T) {
	for in, want := range map[string]string{
		"db.example":                            "db.example",
		"kubernetes.default.svc.cluster.local.": "kubernetes.default.svc.cluster.local.",
		"localhost":                             "localhost",
		"xn--bcher-kva.example":                 "xn--bcher-kva.example",
		"bücher.example":                        "",
		"10.0.0.1":                              "",
		"::1":                                   "",
		"db.example:53":                         "",
		"https://db.example":                    "",
		".":                                     "",
		"":                                      "",
		strings.Repeat("a", 64):                 "",
		strings.Repeat("a.", 127) + "a":         "",
	} {
		name, err := ParseDNS(in)
		checkParsed(t, in, name, want, err)
	}
}

func TestParseHTTP(t *testing.T) {
	for in, want := range map[string]string{
		"http://app.example:8080/healthz":      "http://app.example:8080/healthz",
		"https://app.example":                  "https://app.example",
		"https://[::1]:8443/a?token=secret#x":  "https://[::1]:8443/a",
		"HTTP://app.example/":                  "http://app.example/",
		"app.example/healthz":                  "",
		"ftp://app.example/":                   "",
		"http:///healthz":                      "",
		"http://app.example:99999/":            "",
		"https://user:secret@app.example/":     "",
		"https://user:se?cret@app.example/":    "",
		"https://user:secret@app.example:bad/": "",
		"https://user:%zzsecret@app.example/":  "",
		"http://app.example:bad/?token=secret": "",
		"http://a b/":                          "",
		"":                                     "",
	} {
		u, err := ParseHTTP(in)
		got := ""
		if err == nil {
			got = withoutSecrets(u)
		}
		checkParsed(t, in, got, want, err)
	}
	u, err := ParseHTTP("http://app.example/a?b=c")
	if err != nil || u.RequestURI() != "/a?b=c" {
		t.Errorf("the query must be part of the request: got %v, %v", u, err)
	}
}

// checkParsed checks the result. If want is empty, it expects an error, which must not contain a
// secret.
func checkParsed(t *testing.T, in, got, want string, err error) {
	t.Helper()
	switch {
	case (err != nil) != (want == "") || got != want:
		t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
	case err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "cret@")):
		t.Errorf("%q: the error contains the secret: %v", in, err)
	case err != nil && (!strings.Contains(err.Error(), "target ") || !strings.Contains(err.Error(), ": expected ")):
		t.Errorf("%q: the error does not say what was expected: %v", in, err)
	}
}

func TestStartRejectsInvalidConfigs(t *testing.T) {
	off := func(c Config) Config {
		c.CPUInterval, c.ParallelismInterval = Off, Off
		return c
	}
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Budget: 2}, "probe budget 2: expected"},
		{Config{Budget: -0.1}, "probe budget -0.1: expected"},
		{Config{CPUInterval: time.Millisecond}, "probe cpu: interval 1ms: expected at least 100ms"},
		{Config{DiskInterval: -time.Second}, "probe disk: interval -1s: expected at least 100ms"},
		{off(Config{TCP: []Target{{Address: "db"}}}), `TCP target "db": expected host:port`},
		{off(Config{TCP: []Target{{Address: "db:1", Interval: time.Second, Timeout: 2 * time.Second}}}), "probe db:1: timeout 2s: expected a positive duration, at most the interval, 1s"},
		{off(Config{TCP: []Target{{Address: "db:1", Timeout: -time.Second}}}), "probe db:1: timeout -1s: expected"},
		{off(Config{HTTP: []Target{{Address: "http://u:secret@a", Interval: 1}}}), "probe http://xxxxx@a: interval 1ns: expected"},
		{off(Config{DNS: []Target{{Address: "db"}, {Address: "db"}}}), "probe dns db: duplicate target"},
		{off(Config{HTTP: []Target{{Address: "http://a/?x=1"}, {Address: "http://a/?x=2"}}}), "probe http http://a/: duplicate target"},
	} {
		log, _ := newLog()
		r, err := Start(noop.Meter{}, log, c.cfg)
		if err == nil {
			_ = r.Close()
			t.Errorf("got no error, want %q", c.want)
		} else if !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %q, want %q", err, c.want)
		}
	}
}

func TestRunnerWithoutProbesCloses(t *testing.T) {
	log, _ := newLog()
	r, err := Start(noop.Meter{}, log, Config{CPUInterval: Off, ParallelismInterval: Off})
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, r)
}

func FuzzParseTCP(f *testing.F) {
	for _, s := range []string{"db:80", "[::1]:80", "user:secret@db:1", "a:b:c", "[", "\x00:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, port, err := ParseTCP(s)
		if err == nil && (!validHost(host) || !validPort(port) || strings.ContainsAny(host, "/@ \n")) {
			t.Errorf("ParseTCP(%q) = %q, %q, which is not a valid host and port", s, host, port)
		}
	})
}

func FuzzParseDNS(f *testing.F) {
	for _, s := range []string{"db", "a.b.", "..", "1.2.3.4", "ü"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := ParseDNS(s)
		if err == nil && (name != s || len(s) > 254 || strings.ContainsAny(s, ":/@ \n\x00")) {
			t.Errorf("ParseDNS(%q) = %q, want an error or the same, valid name", s, name)
		}
	})
}

// Neither the target attribute of a URL nor an error about it contains its password or query.
func FuzzParseHTTP(f *testing.F) {
	for _, s := range []string{"a.example", "a:80/x", "a/?q", "a@b", "%zz", "a:b/#?@", "//"} {
		f.Add("http://", s)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "hunter2hunter2"
		if strings.Contains(before, secret) || strings.Contains(after, secret) {
			t.Skip()
		}
		for _, s := range []string{before + "user:" + secret + "@" + after, before + after + "?token=" + secret} {
			u, err := ParseHTTP(s)
			if err != nil {
				if strings.Contains(err.Error(), secret) && hasUserOrQuery(s) {
					t.Errorf("%q: the error contains the secret: %v", s, err)
				}
				continue
			}
			if d := withoutSecrets(u); strings.Contains(d, secret) && !strings.Contains(u.Path, secret) {
				t.Errorf("%q: the attribute contains the secret: %v", s, d)
			}
		}
	})
}

// hasUserOrQuery reports whether s is a URL with a user or a query, which are where the fuzz test
// puts the secret.
func hasUserOrQuery(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.User != nil || u.RawQuery != "")
}
