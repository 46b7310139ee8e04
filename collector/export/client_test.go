package export

import "testing"

func TestUpstreamIsTheURLWithoutItsPath(t *testing.T) {
	for url, want := range map[string]string{
		"http://gateway:4318/v1/metrics": "http://gateway:4318",
		"https://gateway":                "https://gateway",
		"unix:/run/otlp.sock":            "unix:/run/otlp.sock",
	} {
		c := Config{URL: url}
		equal(t, url, c.Upstream(), want)
	}
}
