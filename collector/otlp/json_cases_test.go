package otlp_test

import (
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// FromJSON treats bodies that clients send as the Collector's decoder does, with one exception:
// after the first of two requests, the Collector stops reading and reports success.
func TestJSONLikeTheCollector(t *testing.T) {
	table, err := os.ReadFile("testdata/json-cases.tsv")
	if err != nil {
		t.Fatal(err)
	}
	signals := map[string]otlp.Signal{}
	for _, s := range otlp.Signals() {
		signals[s.Path()] = s
	}
	rows := strings.Split(strings.TrimSpace(string(table)), "\n")[1:]
	for _, row := range rows {
		columns := strings.Split(row, "\t")
		name, signal, want := columns[0], signals[columns[1]], columns[3]
		body, err := base64.StdEncoding.DecodeString(columns[2])
		if err != nil || signal == 0 {
			t.Fatal(name, err)
		}
		if name == "two objects" {
			want = "refused"
		}
		data, err := otlp.FromJSON(signal, body)
		if got := map[bool]string{true: "ok", false: "refused"}[err == nil]; got != want {
			t.Errorf("%s: got %s (error %v), want %s", name, got, err, want)
		}
		if err := proto.Unmarshal(data, empty(signal)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(rows) != 46 {
		t.Errorf("got %d rows, want 46", len(rows))
	}
}

func span(fields string) string {
	return `{"resourceSpans":[{"scopeSpans":[{"spans":[{` + fields + `}]}]}]}`
}

func metric(fields string) string {
	return `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{` + fields + `}]}]}]}`
}

func point(fields string) string { return metric(`"gauge":{"dataPoints":[{` + fields + `}]}`) }

func body(value string) string {
	return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":` + value + `}]}]}]}`
}

// checkFromJSON checks that FromJSON converts input to the message that want describes in
// protobuf's own JSON.
func checkFromJSON(t *testing.T, s otlp.Signal, input, want string) {
	t.Helper()
	data, err := otlp.FromJSON(s, []byte(input))
	if err != nil {
		t.Errorf("%.200q: %v", input, err)
		return
	}
	got, wanted := empty(s), empty(s)
	if err := proto.Unmarshal(data, got); err != nil {
		t.Fatal(err)
	}
	if err := protojson.Unmarshal([]byte(want), wanted); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got, wanted) {
		t.Errorf("%.200q:\ngot  %v\nwant %v", input, got, wanted)
	}
}

func TestJSONValues(t *testing.T) {
	for input, want := range map[string]string{
		`"stringValue":"cut \ud83d"`:                                  `"stringValue":"cut �"`,
		`"stringValue":"\ud83d\ud83d\ude00\ude00"`:                    `"stringValue":"�😀�"`,
		`"stringValue":"\ude00\ude00"`:                                `"stringValue":"��"`,
		`"stringValue":"\ud83d\n\ud83d"`:                              `"stringValue":"�\n�"`,
		"\"stringValue\":\"\xff\xc3é\"":                               `"stringValue":"��é"`,
		"\"stringValue\":\"a\nb\tc\"":                                 `"stringValue":"a\nb\tc"`,
		`"stringValue":"\"\\\/\b\f\n\r\t\u00E9"`:                      `"stringValue":"\"\\/\b\f\n\r\té"`,
		`"stringValue":null`:                                          `"stringValue":""`,
		`"stringValue":"a","intValue":5`:                              `"intValue":5`,
		`"intValue":5,"stringValue":"a"`:                              `"stringValue":"a"`,
		`"intValue":5,"intValue":"0"`:                                 `"intValue":0`,
		`"intValue":5,"stringValue":null`:                             `"intValue":5`,
		`"arrayValue":{"values":[{"intValue":1}]},"kvlistValue":null`: `"arrayValue":{"values":[{"intValue":1}]}`,
		`"kvlistValue":{"values":[{"key":"k","value":{"boolValue":true}}]},"doubleValue":-0`: `"doubleValue":-0`,
		`"arrayValue":{"values":[null,{},{"boolValue":false}]}`:                              `"arrayValue":{"values":[{},{},{"boolValue":false}]}`,
		`"arrayValue":null`:                         `"arrayValue":{}`,
		`"bytesValue":"+_"`:                         ``,
		`"bytesValue":"-_8"`:                        `"bytesValue":"+/8="`,
		`"bytesValue":"+\/8="`:                      `"bytesValue":"+/8="`,
		`"bytesValue":""`:                           `"bytesValue":""`,
		`"intValue":-9223372036854775808`:           `"intValue":"-9223372036854775808"`,
		`"intValue":"+7"`:                           `"intValue":7`,
		`"doubleValue":0.1`:                         `"doubleValue":0.1`,
		`"doubleValue":12345678901234567890.123e-5`: `"doubleValue":12345678901234567890.123e-5`,
		`"doubleValue":"-Infinity"`:                 `"doubleValue":"-Infinity"`,
		`"doubleValue":1E2`:                         `"doubleValue":100`,
		` "future" : [{"a":[1.5e3,"\"}",{}]},null,true,false] , "intValue"` + "\n: 1\t":                      `"intValue":1`,
		`"":{"intValue":2},"\u0069ntValue":1`:                                                                `"intValue":1`,
		`"string_value":"` + strings.Repeat("{", 1<<18) + `"`:                                                `"stringValue":"` + strings.Repeat("{", 1<<18) + `"`,
		`"stringValueStrindex":3`:                                                                            `"stringValueStrindex":3`,
		`"arrayValue":{"values":[{"intValue":1}],"values":null,"values":[{"intValue":2}]}`:                   `"arrayValue":{"values":[{"intValue":1},{"intValue":2}]}`,
		`"kvlistValue":{"values":[{"key":null,"value":null},{"key":"k","key":"","value":{"intValue":"3"}}]}`: `"kvlistValue":{"values":[{},{"value":{"intValue":"3"}}]}`,
	} {
		if want == "" {
			if _, err := otlp.FromJSON(otlp.Logs, []byte(body("{"+input+"}"))); !errors.Is(err, otlp.ErrMalformed) {
				t.Errorf("%s: got error %v, want ErrMalformed", input, err)
			}
			continue
		}
		checkFromJSON(t, otlp.Logs, body("{"+input+"}"), body("{"+want+"}"))
	}
}

func TestJSONRequests(t *testing.T) {
	for name, c := range map[string]struct {
		signal      otlp.Signal
		input, want string
	}{
		"null":          {otlp.Logs, " null\n", "{}"},
		"unknown keys":  {otlp.Logs, `{"resourceLogs":[{"newer":{"a":[1]},"scopeLogs":[{"logRecords":[{"traceId":""}]}]}],"more":null}`, body("null")},
		"null elements": {otlp.Traces, `{"resourceSpans":[null,{"scopeSpans":[null]}]}`, `{"resourceSpans":[{},{"scopeSpans":[{}]}]}`},
		"last duplicate key wins": {
			otlp.Traces, span(`"flags":1,"flags":0,"kind":2,"kind":0,"name":"a","name":""`), span(""),
		},
		"duplicate messages are merged": {
			otlp.Traces, span(`"status":{"code":2,"message":"m"},"status":{"code":"STATUS_CODE_UNSET"}`), span(`"status":{"message":"m"}`),
		},
		"ID of zeros":                 {otlp.Traces, span(`"parentSpanId":"0000000000000000"`), span("")},
		"unknown enum number":         {otlp.Traces, span(`"kind":99`), span(`"kind":99`)},
		"last member of a oneof wins": {otlp.Metrics, point(`"asInt":5,"asDouble":2.5`), point(`"asDouble":2.5`)},
		"zero is a value": {
			otlp.Metrics, point(`"asInt":0`) + " ", point(`"asInt":0`),
		},
		"nulls of other kinds": {
			otlp.Metrics, metric(`"gauge":null,"sum":{"dataPoints":[{"asInt":1}]},"histogram":null`), metric(`"sum":{"dataPoints":[{"asInt":1}]}`),
		},
		"empty histogram first": {otlp.Metrics, metric(`"histogram":{},"summary":{"dataPoints":[{"sum":"1"}]}`), metric(`"summary":{"dataPoints":[{"sum":1}]}`)},
		"duplicate bucket counts are concatenated": {
			otlp.Metrics,
			metric(`"histogram":{"dataPoints":[{"bucketCounts":["1",2],"explicitBounds":[],"sum":0,"bucketCounts":[3]}]}`),
			metric(`"histogram":{"dataPoints":[{"bucketCounts":[1,2,3],"sum":0}]}`),
		},
		"duplicate buckets are merged": {
			otlp.Metrics,
			metric(`"exponentialHistogram":{"dataPoints":[{"positive":{"offset":3,"bucketCounts":["1"]},"positive":{"offset":0,"bucketCounts":[2]}}]}`),
			metric(`"exponentialHistogram":{"dataPoints":[{"positive":{"bucketCounts":[1,2]}}]}`),
		},
		"entities": {
			otlp.Logs,
			`{"resource_logs":[{"resource":{"entity_refs":[{"type":"host","id_keys":["host.id",null],"description_keys":[]}]}}]}`,
			`{"resourceLogs":[{"resource":{"entityRefs":[{"type":"host","idKeys":["host.id",""]}]}}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) { checkFromJSON(t, c.signal, c.input, c.want) })
	}
}

// The limit bounds the memory for the result, also of lists that are given in parts.
func TestJSONLimitBoundsMemory(t *testing.T) {
	const limit = 1 << 20
	list := strings.Repeat("0,", 1<<20) + "0"
	input := metric(`"histogram":{"dataPoints":[{"bucketCounts":[0],"bucketCounts":[` + list + `]}]}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := otlp.FromJSONWithin(otlp.Metrics, []byte(input), limit)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, otlp.ErrTooLarge) || used > 10*limit {
		t.Errorf("got error %v and %d bytes allocated, want ErrTooLarge and at most %d", err, used, 10*limit)
	}
}

func TestMalformedJSON(t *testing.T) {
	for name, c := range map[string]struct {
		signal otlp.Signal
		body   string
		want   string
	}{
		"empty":               {otlp.Traces, "", "byte 0: expected an object, got end of input"},
		"not an object":       {otlp.Traces, "[]", `byte 0: expected an object, got "[]"`},
		"cut short":           {otlp.Traces, `{"resourceSpans":[`, "byte 18: expected an object, got end of input"},
		"cut in a string":     {otlp.Traces, `{"resource`, "byte 10: expected a quote, got end of input"},
		"cut in an escape":    {otlp.Traces, `{"resource\`, "expected an escape"},
		"wrong escape":        {otlp.Traces, span(`"name":"\x"`), "expected an escape"},
		"cut in a number":     {otlp.Traces, `{"future":-`, "expected a number"},
		"no colon":            {otlp.Traces, `{"resourceSpans"[]}`, "expected a colon"},
		"no comma":            {otlp.Traces, span(`"name":"a" "kind":1`), "expected a comma or }"},
		"trailing comma":      {otlp.Traces, span(`"name":"a",`), "expected a string"},
		"two requests":        {otlp.Traces, span("") + "\n" + span(""), "expected end of input"},
		"bracket for brace":   {otlp.Traces, span(`"events":[{]`), "expected a string"},
		"short trace ID":      {otlp.Traces, span(`"traceId":"5b8efff798038103"`), "traceId: expected 32 hex digits"},
		"long trace ID":       {otlp.Traces, span(`"traceId":"5b8efff7980381035b8efff7980381035b"`), "traceId: expected 32 hex digits"},
		"base64 trace ID":     {otlp.Traces, span(`"traceId":"W47/95gDgQPSabYzgT/GDA=="`), "traceId: expected 32 hex digits"},
		"span ID not hex":     {otlp.Traces, span(`"spanId":"xee19b7ec3c1b174"`), "spanId: expected 16 hex digits"},
		"odd ID length":       {otlp.Traces, span(`"parentSpanId":"eee19b7ec3c1b17"`), "parentSpanId: expected 16 hex digits"},
		"trace ID of a link":  {otlp.Traces, span(`"links":[{"traceId":"00"}]`), "traceId: expected 32 hex digits"},
		"unknown enum name":   {otlp.Traces, span(`"kind":"server"`), `kind: unknown name "server"`},
		"enum out of range":   {otlp.Traces, span(`"kind":5000000000`), "kind: expected a 32-bit integer"},
		"null for a value":    {otlp.Metrics, point(`"asDouble":null`), `expected a number for asDouble, got "null`},
		"null for an integer": {otlp.Metrics, point(`"asInt":null`), "expected an integer for asInt"},
		"null for a sum":      {otlp.Metrics, metric(`"histogram":{"dataPoints":[{"sum":null}]}`), "expected a number for sum"},
		"fraction":            {otlp.Metrics, point(`"asInt":1.5`), "asInt: expected a 64-bit integer"},
		"leading zero":        {otlp.Metrics, point(`"asInt":01`), `expected a number, got "01`},
		"leading zeros":       {otlp.Metrics, point(`"asDouble":-00.5`), `expected a number, got "-00.5`},
		"too large, quoted":   {otlp.Metrics, point(`"asInt":"9223372036854775808"`), "asInt: expected a 64-bit integer"},
		"too large":           {otlp.Metrics, point(`"timeUnixNano":30000000000000000000`), "timeUnixNano: expected a 64-bit integer"},
		"negative time":       {otlp.Metrics, point(`"timeUnixNano":-1`), "timeUnixNano: expected a 64-bit integer"},
		"more than 32 bits":   {otlp.Metrics, point(`"flags":5000000000`), "flags: expected a 32-bit integer"},
		"too large, a double": {otlp.Metrics, point(`"asDouble":1e999`), "asDouble: expected a number"},
		"two kinds of data":   {otlp.Metrics, metric(`"gauge":{"dataPoints":[{"asInt":1}]},"sum":{}`), "already has gauge"},
		"the same kind twice": {otlp.Metrics, metric(`"sum":{"isMonotonic":true},"sum":{"dataPoints":[]}`), "already has sum"},
		"object for a list":   {otlp.Logs, `{"resourceLogs":{}}`, "expected an array for resourceLogs"},
		"list for an object":  {otlp.Logs, `{"resourceLogs":[{"resource":[]}]}`, "expected an object"},
		"string for a bool":   {otlp.Logs, body(`{"boolValue":"true"}`), "expected true or false for boolValue"},
		"number for a string": {otlp.Logs, body(`{"stringValue":1}`), "expected a string"},
		"not base64":          {otlp.Logs, body(`{"bytesValue":"*"}`), "bytesValue: expected base64"},
	} {
		data, err := otlp.FromJSON(c.signal, []byte(c.body))
		if !errors.Is(err, otlp.ErrMalformed) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %d bytes and error %v, want error %q", name, len(data), err, c.want)
		}
	}
	if _, err := otlp.FromJSON(9, []byte("{}")); !errors.Is(err, otlp.ErrMalformed) {
		t.Errorf("signal 9: got error %v, want ErrMalformed", err)
	}
}

// Doubles are rounded correctly, as by strconv.
func TestJSONDoubles(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 5_000 {
		text := strconv.FormatUint(r.Uint64()>>r.IntN(64), 10)
		if n := r.IntN(len(text)); n > 0 {
			text = text[:n] + "." + text[n:]
		}
		if r.IntN(2) == 0 {
			text += "e" + strconv.Itoa(r.IntN(60)-30)
		}
		want, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		data, err := otlp.FromJSON(otlp.Metrics, []byte(point(`"asDouble":`+text)))
		if err != nil {
			t.Fatal(err)
		}
		m := &metricspb.MetricsData{}
		if err := proto.Unmarshal(data, m); err != nil {
			t.Fatal(err)
		}
		got := m.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics()[0].GetGauge().GetDataPoints()[0].GetAsDouble()
		if got != want {
			t.Fatalf("%s: got %v, want %v", text, got, want)
		}
	}
}
