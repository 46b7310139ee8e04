package promql

import (
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Matcher selects series by the values of an attribute.
type Matcher struct {
	key    attribute.Key
	op     string
	values []string
}

// Is returns a Matcher for series in which the attribute key has one of the values.
func Is(key attribute.Key, values ...string) Matcher {
	if len(values) == 1 {
		return Matcher{key, "=", values}
	}
	return Matcher{key, "=~", values}
}

// Not returns a Matcher for series in which the attribute key has none of the values.
func Not(key attribute.Key, values ...string) Matcher {
	if len(values) == 1 {
		return Matcher{key, "!=", values}
	}
	return Matcher{key, "!~", values}
}

// check panics if m does not have s's attribute, or if the attribute cannot have s's values.
func (s Matcher) check(m *catalog.Metric) {
	attributes := slices.Clone(m.Attributes)
	for _, g := range append(catalog.Groups(), catalog.Relay) {
		if slices.Contains(g.Metrics, m) {
			attributes = append(attributes, g.Attributes...)
		}
	}
	i := slices.IndexFunc(attributes, func(a catalog.Attribute) bool { return a.Key == s.key })
	if i < 0 {
		panic(fmt.Sprintf("promql: %s has no attribute %s", m.Name, s.key))
	}
	for _, v := range s.values {
		if known := attributes[i].Values; len(known) > 0 && !slices.Contains(known, v) {
			panic(fmt.Sprintf("promql: attribute %s of %s is never %q", s.key, m.Name, v))
		}
	}
}

func (s Matcher) String() string {
	return fmt.Sprintf("%s%s%q", Label(s.key), s.op, strings.Join(s.values, "|"))
}

// Queries builds queries that share a scope and a range.
type Queries struct {
	Scope string // PromQL matchers of every selector; may be empty
	Range string // range of rates, for example 5m
}

// selector returns the selector of m's series; suffix is appended to the name.
func (q Queries) selector(m *catalog.Metric, suffix string, matchers []Matcher) string {
	var parts []string
	if q.Scope != "" {
		parts = append(parts, q.Scope)
	}
	for _, s := range matchers {
		s.check(m)
		parts = append(parts, s.String())
	}
	if len(parts) == 0 {
		return Name(m) + suffix
	}
	return Name(m) + suffix + "{" + strings.Join(parts, ",") + "}"
}

// maxAge is the maximum age at which a sample counts as current. OTLP has no end-of-series marker,
// and Prometheus looks back five minutes by default, which would count a program twice after it
// restarted as another instance.
const maxAge = "2m"

// Value returns a query for the current value of m, which must be an up-down counter or gauge.
func (q Queries) Value(m *catalog.Metric, matchers ...Matcher) string {
	return "last_over_time(" + q.valueSelector(m, matchers) + "[" + maxAge + "])"
}

// Before is like [Queries.Value], but for the value that m had at the start of the range.
func (q Queries) Before(m *catalog.Metric, matchers ...Matcher) string {
	return "last_over_time(" + q.valueSelector(m, matchers) + "[" + maxAge + "] offset " + q.Range + ")"
}

// valueSelector returns the selector of m, and panics if m does not have a current value.
func (q Queries) valueSelector(m *catalog.Metric, matchers []Matcher) string {
	if m.Kind != catalog.UpDownCounter && m.Kind != catalog.Gauge {
		panic(fmt.Sprintf("promql: the %s %s has no current value: query its rate", m.Kind, m.Name))
	}
	return q.selector(m, "", matchers)
}

// Over returns a query that applies a function over time, such as avg_over_time, to m, which must
// be an up-down counter or gauge.
func (q Queries) Over(function string, m *catalog.Metric, matchers ...Matcher) string {
	return fmt.Sprintf("%s(%s[%s])", function, q.valueSelector(m, matchers), q.Range)
}

// Rate returns a query for the increase per second of m, which must be a counter.
func (q Queries) Rate(m *catalog.Metric, matchers ...Matcher) string {
	return q.growth("rate", m, matchers)
}

// Increase returns a query for the increase of m, which must be a counter, over the range.
func (q Queries) Increase(m *catalog.Metric, matchers ...Matcher) string {
	return q.growth("increase", m, matchers)
}

func (q Queries) growth(function string, m *catalog.Metric, matchers []Matcher) string {
	if m.Kind != catalog.Counter {
		panic(fmt.Sprintf("promql: %s is not a counter and has no rate", m.Name))
	}
	return fmt.Sprintf("%s(%s[%s])", function, q.selector(m, "", matchers), q.Range)
}

// Without returns a query that sums expr over all values of labels.
func Without(labels []string, expr string) string {
	return fmt.Sprintf("sum without (%s) (%s)", strings.Join(labels, ", "), expr)
}

// Sum returns a query that sums expr by the given labels.
func Sum(by []string, expr string) string { return Aggregate("sum", by, expr) }

// Aggregate returns a query that aggregates expr by the given labels, with a function such as max.
// Without labels, it aggregates all series.
func Aggregate(function string, by []string, expr string) string {
	if len(by) == 0 {
		return function + "(" + expr + ")"
	}
	return fmt.Sprintf("%s by (%s) (%s)", function, strings.Join(by, ", "), expr)
}

// Buckets returns a query for the increase of the buckets of m, which must be a histogram, over the
// range, for use in a heatmap. The first half of the query matches native histograms, to which
// Prometheus converts OTLP exponential histograms; the second matches classic buckets.
func (q Queries) Buckets(m *catalog.Metric, matchers ...Matcher) string {
	return q.histogram("increase", nil, m, matchers, func(growth string) string { return growth })
}

// Quantile returns a query for a quantile of m, which must be a histogram, over the range, by the
// given labels. It works for native and for classic histograms.
func (q Queries) Quantile(quantile float64, by []string, m *catalog.Metric, matchers ...Matcher) string {
	return q.histogram("rate", by, m, matchers, func(growth string) string {
		return fmt.Sprintf("histogram_quantile(%v, %s)", quantile, growth)
	})
}

func (q Queries) histogram(
	function string,
	by []string,
	m *catalog.Metric,
	matchers []Matcher,
	f func(growth string) string,
) string {
	if m.Kind != catalog.Histogram {
		panic(fmt.Sprintf("promql: %s is not a histogram", m.Name))
	}
	native := Sum(by, fmt.Sprintf("%s(%s[%s])", function, q.selector(m, "", matchers), q.Range))
	explicit := Sum(
		append([]string{"le"}, by...),
		fmt.Sprintf("%s(%s[%s])", function, q.selector(m, "_bucket", matchers), q.Range),
	)
	return f(native) + " or " + f(explicit)
}
