package catalog

import (
	"reflect"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/containerconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/dbconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/goconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/processconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/systemconv"
)

// convention describes an instrument. OpenTelemetry's packages with these types are generated from
// the semantic conventions.
type convention interface {
	Name() string
	Unit() string
}

// conventions holds the instruments of the semantic conventions, in their observable form if there
// is one, because that form has a method for every attribute of the metric.
var conventions = []convention{
	systemconv.CPUTime{},
	systemconv.CPULogicalCountObservable{},
	systemconv.MemoryUsage{},
	systemconv.MemoryLimitObservable{},
	systemconv.MemoryLinuxAvailableObservable{},
	systemconv.PagingUsageObservable{},
	systemconv.PagingOperationsObservable{},
	systemconv.PagingFaultsObservable{},

	systemconv.NetworkIO{},
	systemconv.NetworkErrorsObservable{},
	systemconv.NetworkPacketDroppedObservable{},

	systemconv.FilesystemUsageObservable{},
	systemconv.FilesystemLimitObservable{},

	containerconv.CPUTimeObservable{},
	containerconv.MemoryUsageObservable{},
	containerconv.MemoryWorkingSetObservable{},
	containerconv.MemoryRssObservable{},
	containerconv.MemoryAvailableObservable{},
	containerconv.MemoryPagingFaultsObservable{},
	containerconv.DiskIO{},

	processconv.CPUTime{},
	processconv.MemoryUsageObservable{},
	processconv.MemoryVirtualObservable{},
	processconv.ThreadCountObservable{},
	processconv.ContextSwitchesObservable{},
	processconv.PagingFaultsObservable{},

	goconv.MemoryUsed{},
	goconv.MemoryLimit{},
	goconv.MemoryAllocated{},
	goconv.MemoryAllocations{},
	goconv.MemoryGCGoal{},
	goconv.GoroutineCount{},
	goconv.ProcessorLimit{},
	goconv.ConfigGogc{},

	dbconv.ClientConnectionCountObservable{},
	dbconv.ClientConnectionMaxObservable{},
	dbconv.ClientConnectionPendingRequestsObservable{},
	dbconv.ClientConnectionTimeoutsObservable{},
	dbconv.ClientConnectionCreateTime{},
	dbconv.ClientConnectionWaitTime{},
	dbconv.ClientConnectionUseTime{},

	httpconv.ClientActiveRequestsObservable{},
	httpconv.ClientRequestDuration{},
}

// required holds, by metric, the attributes for which a generated histogram has a parameter of
// Record instead of a method.
var required = map[string][]attribute.Key{
	"http.client.request.duration": {semconv.HTTPRequestMethodKey},
}

// deviations holds, by metric, the instrument that we use where the conventions are wrong
// (docs/decisions/0002).
var deviations = map[string]string{
	// 1.43 says counter, but usage can fall, so its rate would be meaningless
	"container.memory.usage": "int64updowncounter",
}

func TestStandardRowsFollowTheConventions(t *testing.T) {
	byName := map[string]convention{}
	for _, c := range conventions {
		byName[c.Name()] = c
	}
	Each(func(_ *Group, m *Metric) {
		c, ok := byName[m.Name]
		delete(byName, m.Name)
		switch {
		case m.Standard && ok:
			t.Run(m.Name, func(t *testing.T) { compare(t, m, c) })
		case m.Standard:
			t.Errorf("%s is marked standard but not checked here: add its instrument to conventions", m.Name)
		case ok:
			t.Errorf("%s is in the semantic conventions: mark it standard", m.Name)
		}
	})
	for name := range byName {
		t.Errorf("%s is checked here but not in the catalog", name)
	}
}

func compare(t *testing.T, m *Metric, c convention) {
	t.Helper()
	if m.Unit != c.Unit() {
		t.Errorf("unit is %s, want %s", m.Unit, c.Unit())
	}
	// The generated type embeds the instrument of the metric API, such as Int64ObservableCounter.
	got := [...]string{Float: "float64", Int: "int64"}[m.Number] + m.Kind.String()
	want := strings.ToLower(strings.Replace(reflect.TypeOf(c).Field(0).Name, "Observable", "", 1))
	if deviation := deviations[m.Name]; deviation != "" {
		if deviation == want {
			t.Error("the convention has been corrected: drop the deviation")
		}
		want = deviation
	}
	if got != want {
		t.Errorf("instrument is %s, want %s", got, want)
	}
	keys := attributeKeys(c)
	for _, key := range required[m.Name] {
		keys[key] = true
	}
	for _, a := range m.Attributes {
		if !keys[a.Key] {
			t.Errorf("attribute %s is not one of %v", a.Key, keys)
		}
	}
}

// attributeKeys returns the keys of c's attributes. To find them, it calls all methods of c called
// Attr*, each of which creates an attribute from a value.
func attributeKeys(c convention) map[attribute.Key]bool {
	keys := map[attribute.Key]bool{}
	v := reflect.ValueOf(c)
	for i := range v.NumMethod() {
		method := v.Method(i)
		if strings.HasPrefix(v.Type().Method(i).Name, "Attr") {
			zero := reflect.Zero(method.Type().In(0))
			keys[method.Call([]reflect.Value{zero})[0].Interface().(attribute.KeyValue).Key] = true
		}
	}
	return keys
}
