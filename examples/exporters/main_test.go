package exporters_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/instrument"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pool returns the Stats of an example pool: 4 slots, and 10 requests that waited 2 ms each.
func pool() instrument.Stats {
	waits := new(instrument.Histogram)
	waits.RecordN(2*time.Millisecond, 10)
	s := instrument.Stats{Limit: instrument.Some(int64(4))}
	s.Requests[instrument.Acquired] = instrument.Some(int64(10))
	s.Wait[instrument.Acquired] = waits
	return s
}

// scrape scrapes h as Prometheus does, and returns the content type and the body of the response.
func scrape(h http.Handler, accept string) (contentType, body string) {
	request := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	request.Header.Set("Accept", accept)
	response := httptest.NewRecorder()
	h.ServeHTTP(response, request)
	text, _ := io.ReadAll(response.Body) // in memory, so it cannot fail
	return response.Header().Get("Content-Type"), string(text)
}

// show prints the series in a scrape whose names begin with prefix. The only label that it prints
// is the upper bound of a bucket.
func show(body, prefix string) {
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		series, value, _ := strings.Cut(lines.Text(), "} ")
		name, labels, _ := strings.Cut(series, "{")
		if _, le, found := strings.Cut(labels, `le="`); found {
			bound, _, _ := strings.Cut(le, `"`)
			name += " le=" + bound
		}
		if strings.HasPrefix(name, prefix) {
			fmt.Println(name, value)
		}
	}
}
