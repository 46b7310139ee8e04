package otlp

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

var update = flag.Bool("update", false, "rewrite json_schema.txt")

// If a newer go.opentelemetry.io/proto introduces a field, this test fails until `go generate` has
// added it to json_schema.txt.
func TestSchemaMatchesOTLP(t *testing.T) {
	lines := map[string]string{}
	for _, root := range []proto.Message{&metricspb.MetricsData{}, &tracepb.TracesData{}, &logspb.LogsData{}} {
		describe(root.ProtoReflect().Descriptor(), lines)
	}
	var all []string
	for name, line := range lines {
		all = append(all, name+line+"\n")
	}
	slices.Sort(all)
	want := strings.Join(all, "")
	if *update {
		if err := os.WriteFile("json_schema.txt", []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if schemaText != want {
		t.Errorf("run go generate: json_schema.txt is\n%s\nwant\n%s", schemaText, want)
	}
}

// describe adds the line of the message d to lines, and those of the messages and enums in it.
func describe(d protoreflect.MessageDescriptor, lines map[string]string) {
	name := schemaName(d)
	if _, done := lines[name]; done {
		return
	}
	lines[name] = ""
	var line strings.Builder
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		fmt.Fprintf(&line, " %s=%d:", fd.Name(), fd.Number())
		if fd.IsList() {
			line.WriteString("[]")
		}
		line.WriteString(schemaType(fd, lines))
		if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() {
			line.WriteByte('|')
		} else if fd.HasOptionalKeyword() {
			line.WriteByte('?')
		}
	}
	lines[name] = line.String()
}

func schemaType(fd protoreflect.FieldDescriptor, lines map[string]string) string {
	switch {
	case fd.Message() != nil:
		describe(fd.Message(), lines)
		return schemaName(fd.Message())
	case fd.Enum() != nil:
		values := fd.Enum().Values()
		var line strings.Builder
		for i := range values.Len() {
			fmt.Fprintf(&line, " %s=%d", values.Get(i).Name(), values.Get(i).Number())
		}
		lines["enum "+schemaName(fd.Enum())] = line.String()
		return schemaName(fd.Enum())
	case fd.Name() == "trace_id":
		return "hex16"
	case fd.Name() == "span_id", fd.Name() == "parent_span_id":
		return "hex8"
	}
	return fd.Kind().String()
}

// schemaName returns the name within the package, which is unique across OTLP's packages.
func schemaName(d protoreflect.Descriptor) string {
	return strings.TrimPrefix(string(d.FullName()), string(d.ParentFile().Package())+".")
}
