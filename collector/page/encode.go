package page

import (
	"math"
	"mime"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Prometheus's own encoders, in expfmt, would add 150 KB to the sidecar, and do more than is needed
// here. Tests compare the output of the encoders below with theirs.

// contentType is the content type of the response to a scrape.
type contentType string

const (
	textType     contentType = "text/plain; version=0.0.4" + formatSuffix
	protobufType contentType = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; " +
		"encoding=delimited; escaping=underscores"
	openType    contentType = "application/openmetrics-text; version=1.0.0" + formatSuffix
	openOldType contentType = "application/openmetrics-text; version=0.0.1" + formatSuffix

	formatSuffix = "; charset=utf-8; escaping=underscores"
)

// negotiate returns the supported format that accept, the value of an Accept header, prefers. It
// returns textType if accept allows no supported format.
func negotiate(accept string) contentType {
	best, bestQuality := textType, 0.0
	for clause := range strings.SplitSeq(accept, ",") {
		media, parameters, err := mime.ParseMediaType(clause)
		if err != nil {
			continue
		}
		quality, err := strconv.ParseFloat(parameters["q"], 64)
		if err != nil {
			quality = 1
		}
		if format := offered(media, parameters); format != "" && quality > bestQuality {
			best, bestQuality = format, quality
		}
	}
	return best
}

// offered returns the format that matches one clause of an Accept header, or "" if none does.
func offered(media string, parameters map[string]string) contentType {
	version := parameters["version"]
	switch {
	case media == "application/openmetrics-text" && version == "1.0.0":
		return openType
	case media == "application/openmetrics-text" && (version == "" || version == "0.0.1"):
		return openOldType
	case media == "application/vnd.google.protobuf" && parameters["encoding"] == "delimited" &&
		parameters["proto"] == "io.prometheus.client.MetricFamily":
		return protobufType
	case (media == "text/plain" || media == "text/*" || media == "*/*") && (version == "" || version == "0.0.4"):
		return textType
	default:
		return ""
	}
}

// encode returns families in the given format.
func encode(families []*dto.MetricFamily, format contentType) []byte {
	var b []byte
	openMetrics := format == openType || format == openOldType
	for _, f := range families {
		if format == protobufType {
			message, _ := proto.Marshal(f) // fails only for invalid UTF-8, which is checked on receipt
			b = protowire.AppendBytes(b, message)
			continue
		}
		b = lines{family: f, openMetrics: openMetrics}.append(b)
	}
	if openMetrics {
		b = append(b, "# EOF\n"...)
	}
	return b
}

// lines writes a family in the text format or, if openMetrics is set, as OpenMetrics.
type lines struct {
	family      *dto.MetricFamily
	openMetrics bool
}

var (
	escapeHelp  = strings.NewReplacer("\\", `\\`, "\n", `\n`)
	escapeValue = strings.NewReplacer("\\", `\\`, "\n", `\n`, `"`, `\"`)
)

func (l lines) append(b []byte) []byte {
	name, escape := l.family.GetName(), escapeHelp
	if l.openMetrics { // HELP and TYPE lines omit a counter's _total
		escape = escapeValue
		if l.family.GetType() == dto.MetricType_COUNTER {
			name = strings.TrimSuffix(name, "_total")
		}
	}
	b = append(b, "# HELP "+name+" "+escape.Replace(l.family.GetHelp())+"\n"...)
	b = append(b, "# TYPE "+name+" "+strings.ToLower(l.family.GetType().String())+"\n"...)
	for _, m := range l.family.GetMetric() {
		switch h := m.GetHistogram(); {
		case h != nil:
			b = l.histogram(b, m.GetLabel(), h)
		case m.GetCounter() != nil:
			b = l.sample(b, "", m.GetLabel(), "", l.number(m.GetCounter().GetValue()))
		default:
			b = l.sample(b, "", m.GetLabel(), "", l.number(m.GetGauge().GetValue()))
		}
	}
	return b
}

func (l lines) histogram(b []byte, labels []*dto.LabelPair, h *dto.Histogram) []byte {
	for _, bucket := range h.GetBucket() {
		if bound := bucket.GetUpperBound(); !math.IsInf(bound, 1) {
			b = l.sample(b, "_bucket", labels, l.number(bound), l.count(bucket.GetCumulativeCount()))
		}
	}
	b = l.sample(b, "_bucket", labels, "+Inf", l.count(h.GetSampleCount()))
	b = l.sample(b, "_sum", labels, "", l.number(h.GetSampleSum()))
	return l.sample(b, "_count", labels, "", l.count(h.GetSampleCount()))
}

// sample appends one line to b. le is the bucket's upper bound, or empty if the line is not for a
// bucket.
func (l lines) sample(b []byte, suffix string, labels []*dto.LabelPair, le, value string) []byte {
	b = append(append(b, l.family.GetName()...), suffix...)
	separator := byte('{')
	label := func(name, value string) {
		b = append(append(b, separator), name+`="`+value+`"`...)
		separator = ','
	}
	for _, p := range labels {
		label(p.GetName(), escapeValue.Replace(p.GetValue()))
	}
	if le != "" {
		label("le", le)
	}
	if separator == ',' {
		b = append(b, '}')
	}
	return append(b, " "+value+"\n"...)
}

// number formats v. In OpenMetrics, whole numbers have a fraction: 1 becomes 1.0.
func (l lines) number(v float64) string {
	s := strconv.FormatFloat(v, 'g', -1, 64)
	if l.openMetrics && !strings.ContainsAny(s, "e.IN") { // neither +Inf nor NaN
		s += ".0"
	}
	return s
}

func (l lines) count(n uint64) string {
	if l.openMetrics {
		return strconv.FormatUint(n, 10)
	}
	return l.number(float64(n))
}
