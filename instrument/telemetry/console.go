package telemetry

import (
	"context"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// console writes each export as a text table, with one line for each point.
type console struct{ to io.Writer }

// Temporality implements sdkmetric.Exporter.
func (console) Temporality(sdkmetric.InstrumentKind) metricdata.Temporality {
	return metricdata.CumulativeTemporality
}

// Aggregation implements sdkmetric.Exporter.
func (console) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}

// Export implements sdkmetric.Exporter.
func (c console) Export(_ context.Context, rm *metricdata.ResourceMetrics) error {
	var all strings.Builder
	fmt.Fprintf(&all, "\n%s\n", time.Now().Format(time.DateTime))
	table := tabwriter.NewWriter(&all, 0, 0, 2, ' ', 0)
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			for attributes, value := range values(m.Data) {
				fmt.Fprintf(table, "%s\t%s\t%s\n", m.Name, attributes, withUnit(value, m.Unit))
			}
		}
	}
	_ = table.Flush() // a Builder never fails
	_, err := io.WriteString(c.to, all.String())
	return err
}

// ForceFlush implements sdkmetric.Exporter.
func (console) ForceFlush(context.Context) error { return nil }

// Shutdown implements sdkmetric.Exporter.
func (console) Shutdown(context.Context) error { return nil }

// values yields the attributes and the value of each point, as text.
func values(data metricdata.Aggregation) func(yield func(attributes, value string) bool) {
	return func(yield func(attributes, value string) bool) {
		switch d := data.(type) {
		case metricdata.Sum[int64]:
			yieldNumbers(d.DataPoints, yield)
		case metricdata.Sum[float64]:
			yieldNumbers(d.DataPoints, yield)
		case metricdata.Gauge[int64]:
			yieldNumbers(d.DataPoints, yield)
		case metricdata.Gauge[float64]:
			yieldNumbers(d.DataPoints, yield)
		case metricdata.Histogram[float64]:
			for _, p := range d.DataPoints {
				yield(formatAttributes(p.Attributes), formatHistogram(p.Count, p.Sum, p.Max))
			}
		case metricdata.ExponentialHistogram[float64]:
			for _, p := range d.DataPoints {
				yield(formatAttributes(p.Attributes), formatHistogram(p.Count, p.Sum, p.Max))
			}
		}
	}
}

func yieldNumbers[N int64 | float64](points []metricdata.DataPoint[N], yield func(attributes, value string) bool) {
	for _, p := range points {
		yield(formatAttributes(p.Attributes), formatNumber(float64(p.Value)))
	}
}

// formatHistogram formats the count, the mean and the maximum of a histogram, as far as known.
func formatHistogram(count uint64, sum float64, maximum metricdata.Extrema[float64]) string {
	text := fmt.Sprintf("%d", count)
	if count > 0 {
		text += ", mean " + formatNumber(sum/float64(count))
	}
	if v, ok := maximum.Value(); ok {
		text += ", max " + formatNumber(v)
	}
	return text
}

// formatNumber formats v with four significant digits, or as an integer if it is one or large.
func formatNumber(v float64) string {
	if v == math.Trunc(v) || math.Abs(v) >= 10_000 {
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// withUnit appends the unit to value, unless the unit is only an annotation such as {request}.
func withUnit(value, unit string) string {
	if unit == "" || unit == "1" || strings.HasPrefix(unit, "{") {
		return value
	}
	return value + " " + unit
}

// formatAttributes formats the attributes in set, using only the last component of each key.
func formatAttributes(set attribute.Set) string {
	var list []string
	for _, a := range set.ToSlice() {
		key := string(a.Key)
		list = append(list, key[strings.LastIndexByte(key, '.')+1:]+"="+a.Value.String())
	}
	return strings.Join(list, " ")
}
