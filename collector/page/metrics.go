package page

import (
	"cmp"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/otlptranslator"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/poolgauge/poolgauge/collector/live"
	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/instruments"
)

// metrics responds to a scrape with the newest points of the app and of the sidecar itself. Metrics
// have the names that Prometheus assigns to metrics received over OTLP. The format is text,
// OpenMetrics, or protobuf with native histograms, as negotiated with the scraper.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	to := negotiate(r.Header.Get("Accept"))
	w.Header().Set("Content-Type", string(to))
	_, _ = w.Write(encode(families(s.cfg.Live), to)) // fails only if the client has disconnected
}

var (
	metricNamer = otlptranslator.NewMetricNamer("", otlptranslator.UnderscoreEscapingWithSuffixes)
	labelNamer  = otlptranslator.LabelNamer{}
)

// families returns the samples of l, grouped by metric and sorted by name.
func families(l *live.Live) []*dto.MetricFamily {
	byRow := map[*catalog.Metric]*dto.MetricFamily{}
	seen := map[string]bool{}
	var resource resourceLabels
	l.EachSample(func(s *live.Sample) {
		resource.update(s.Resource)
		name, err := metricNamer.Build(
			otlptranslator.Metric{Name: s.Metric.Name, Unit: s.Metric.Unit, Type: typeOf(s.Metric)},
		)
		labels, key := labelsOf(s, resource.labels)
		if key = name + key; err != nil || seen[key] {
			// Two apps without a service.instance.id may send the same series. Only one is exposed.
			return
		}
		seen[key] = true
		f := byRow[s.Metric]
		if f == nil {
			f = &dto.MetricFamily{Name: &name, Help: &s.Metric.Help, Type: prometheusType(s.Metric).Enum()}
			byRow[s.Metric] = f
		}
		f.Metric = append(f.Metric, value(s, labels))
	})
	all := make([]*dto.MetricFamily, 0, len(byRow))
	for _, f := range byRow {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return all
}

func typeOf(m *catalog.Metric) otlptranslator.MetricType {
	switch m.Kind {
	case catalog.Counter:
		return otlptranslator.MetricTypeMonotonicCounter
	case catalog.UpDownCounter:
		return otlptranslator.MetricTypeNonMonotonicCounter
	case catalog.Histogram:
		return otlptranslator.MetricTypeExponentialHistogram
	default:
		return otlptranslator.MetricTypeGauge
	}
}

func prometheusType(m *catalog.Metric) dto.MetricType {
	switch m.Kind {
	case catalog.Counter:
		return dto.MetricType_COUNTER
	case catalog.Histogram:
		return dto.MetricType_HISTOGRAM
	default:
		return dto.MetricType_GAUGE
	}
}

// promoted lists the resource attributes that become labels of every series.
// deploy/prometheus/prometheus.yml promotes the same attributes for OTLP.
var promoted = []string{
	"k8s.cluster.name", "k8s.namespace.name", "k8s.pod.name", "k8s.container.name", "k8s.node.name",
	"k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name", "k8s.job.name",
}

// resourceLabels holds the labels that the resource of an app adds to every series.
type resourceLabels struct {
	of     []live.Label
	labels map[string]string // some may be empty
}

// update sets the labels from the given resource. Consecutive samples of an app share it.
func (r *resourceLabels) update(resource []live.Label) {
	if r.labels != nil && len(r.of) == len(resource) && (len(resource) == 0 || &r.of[0] == &resource[0]) {
		return
	}
	values := map[string]string{}
	for _, l := range slices.Backward(resource) { // the first of two with the same name counts
		values[l.Name] = l.Value
	}
	r.of, r.labels = resource, map[string]string{}
	for _, attribute := range promoted {
		name, _ := labelNamer.Build(attribute) // cannot fail for these
		r.labels[name] = values[attribute]
	}
	r.labels["job"], r.labels["instance"] = values["service.name"], values["service.instance.id"]
	if namespace := values["service.namespace"]; namespace != "" {
		r.labels["job"] = namespace + "/" + r.labels["job"]
	}
}

// labelValues returns the labels of s: those of its resource, and its attributes, which take
// precedence over promoted ones. Some may be empty.
func labelValues(s *live.Sample, resource map[string]string) map[string]string {
	labels := maps.Clone(resource)
	for _, l := range s.Attributes {
		name, err := labelNamer.Build(l.Name)
		if err == nil && l.Value != "" && name != "job" && name != "instance" && !isReserved(name, s.Metric) {
			labels[name] = l.Value
		}
	}
	return labels
}

// isReserved reports whether Prometheus reserves the label name for itself in series of m. It
// rejects a scrape in which a series has such a label, or the same label twice.
func isReserved(name string, m *catalog.Metric) bool {
	return name == "le" && m.Kind == catalog.Histogram || strings.HasPrefix(name, "__")
}

// labelsOf returns the labels of s, sorted by name, and a key that identifies this set of labels.
// resource holds the labels of its resource.
func labelsOf(s *live.Sample, resource map[string]string) (pairs []*dto.LabelPair, key string) {
	for name, v := range labelValues(s, resource) {
		if v != "" {
			pairs = append(pairs, &dto.LabelPair{Name: &name, Value: &v})
		}
	}
	slices.SortFunc(pairs, func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
	var b strings.Builder
	for _, p := range pairs {
		b.WriteString("\x00" + p.GetName() + "\x00" + p.GetValue())
	}
	return pairs, b.String()
}

func value(s *live.Sample, labels []*dto.LabelPair) *dto.Metric {
	m := &dto.Metric{Label: labels}
	var created *timestamppb.Timestamp
	if !s.Start.IsZero() {
		created = timestamppb.New(s.Start)
	}
	switch {
	case s.Buckets != nil:
		m.Histogram = histogram(s.Buckets, instruments.Boundaries(s.Metric.Unit))
		m.Histogram.CreatedTimestamp = created
	case s.Metric.Kind == catalog.Counter:
		m.Counter = &dto.Counter{Value: &s.Value, CreatedTimestamp: created}
	default:
		m.Gauge = &dto.Gauge{Value: proto.Float64(s.Value)}
	}
	return m
}

// histogram converts b to a histogram with classic buckets. If b has exponential buckets, bounds
// are the upper bounds of the classic buckets, and the result also has native buckets if
// [isNative]. The text format contains only classic buckets; protobuf contains both, and Prometheus
// uses the native ones.
func histogram(b *otlp.Buckets, bounds []float64) *dto.Histogram {
	h := &dto.Histogram{SampleCount: proto.Uint64(b.Count), SampleSum: proto.Float64(b.Sum)}
	if b.Bounds != nil {
		total := uint64(0)
		for i, bound := range b.Bounds {
			total += b.Counts[i]
			h.Bucket = append(
				h.Bucket,
				&dto.Bucket{UpperBound: proto.Float64(bound), CumulativeCount: proto.Uint64(total)},
			)
		}
		return h
	}
	for i, n := range live.Cumulative(b, bounds) {
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &bounds[i], CumulativeCount: proto.Uint64(n)})
	}
	if !isNative(b) {
		return h
	}
	native := b.AtMost(maxSchema)
	h.Schema, h.ZeroThreshold, h.ZeroCount = proto.Int32(native.Scale), proto.Float64(0), proto.Uint64(native.Zero)
	// An empty span marks the histogram as native even if it has no observations.
	h.PositiveSpan = []*dto.BucketSpan{
		{Offset: proto.Int32(native.Offset + 1), Length: proto.Uint32(uint32(len(native.Counts)))},
	}
	before := int64(0)
	for _, n := range native.Counts {
		h.PositiveDelta = append(h.PositiveDelta, int64(n)-before)
		before = int64(n)
	}
	return h
}

// The schemas of native histograms that Prometheus supports.
const minSchema, maxSchema = -4, 8

// isNative reports whether Prometheus accepts b as a native histogram: the values in the buckets
// must add up to the count, and the counts must fit into an int64.
func isNative(b *otlp.Buckets) bool {
	rest := b.Count - b.Zero
	for _, n := range b.Counts {
		rest -= n
	}
	return rest == 0 && b.Count <= math.MaxInt64 && b.Scale >= minSchema
}
