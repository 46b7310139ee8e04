package otlp_test

import (
	"testing"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

func TestAttribute(t *testing.T) {
	for want, v := range map[string]*commonpb.AnyValue{
		"text":  {Value: &commonpb.AnyValue_StringValue{StringValue: "text"}},
		"true":  {Value: &commonpb.AnyValue_BoolValue{BoolValue: true}},
		"false": {Value: &commonpb.AnyValue_BoolValue{}},
		"-8080": {Value: &commonpb.AnyValue_IntValue{IntValue: -8080}},
		"0.25":  {Value: &commonpb.AnyValue_DoubleValue{DoubleValue: 0.25}},
		"":      {Value: &commonpb.AnyValue_ArrayValue{ArrayValue: &commonpb.ArrayValue{Values: []*commonpb.AnyValue{{}}}}},
	} {
		wire, err := proto.Marshal(&commonpb.KeyValue{Key: "k", Value: v})
		if err != nil {
			t.Fatal(err)
		}
		if key, value := otlp.Attribute(wire); string(key) != "k" || string(value) != want {
			t.Errorf("attribute k of %v: got %q = %q, want the value %q", v, key, value, want)
		}
	}
}
