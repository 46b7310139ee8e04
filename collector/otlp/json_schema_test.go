package otlp_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// filler sets every field of a message to a nonzero value, which is unique if the type allows it.
type filler struct {
	next   int64
	member int // index into each oneof
	fields map[protoreflect.FullName]bool
}

func (f *filler) fill(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() && o.Fields().Get(f.member%o.Fields().Len()) != fd {
			continue
		}
		if depth > 9 && fd.Kind() == protoreflect.MessageKind {
			continue
		}
		f.fields[fd.FullName()] = true
		if fd.IsList() {
			list := m.Mutable(fd).List()
			for range 2 {
				list.Append(f.value(fd, list.NewElement, depth))
			}
			continue
		}
		m.Set(fd, f.value(fd, func() protoreflect.Value { return m.NewField(fd) }, depth))
	}
}

func (f *filler) value(fd protoreflect.FieldDescriptor, empty func() protoreflect.Value, depth int) protoreflect.Value {
	f.next++
	n := f.next
	switch fd.Kind() {
	case protoreflect.MessageKind:
		v := empty()
		f.fill(v.Message(), depth+1)
		return v
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(fmt.Sprintf("text %d é\"", n))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(f.bytes(fd))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(fd.Enum().Values().Get(1 + int(n)%(fd.Enum().Values().Len()-1)).Number())
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(-n) / 8)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(1<<31 + uint32(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(1<<63 + uint64(n))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(-n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(-1<<62 - n)
	}
	panic(fmt.Sprintf("field %s: kind %s is not supported", fd.FullName(), fd.Kind()))
}

// bytes returns an ID if the field fd is one. No ID is a prefix of another.
func (f *filler) bytes(fd protoreflect.FieldDescriptor) []byte {
	size := map[protoreflect.Name]int{"trace_id": 16, "span_id": 8, "parent_span_id": 8}[fd.Name()]
	if size == 0 {
		return fmt.Appendf(nil, "bytes \xff%d", f.next)
	}
	id := fmt.Appendf(nil, "%08d", f.next)
	if size == 16 {
		id = fmt.Appendf(nil, "%08d%08x", f.next, f.next)
	}
	return id
}

// FromJSON converts every field known to go.opentelemetry.io/proto, under both of its names, and
// enums both as names and as numbers.
func TestJSONOfEveryField(t *testing.T) {
	fields := map[protoreflect.FullName]bool{}
	for _, signal := range otlp.Signals() {
		for member := range 10 {
			want := empty(signal)
			f := filler{member: member, fields: fields}
			f.fill(want.ProtoReflect(), 0)
			options := protojson.MarshalOptions{
				UseProtoNames:  member%2 == 1,
				UseEnumNumbers: member%3 == 1,
				Multiline:      member%4 > 1,
			}
			body, err := options.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			got := empty(signal)
			fromJSON(t, signal, hexIDs(want, body), got)
			if !proto.Equal(got, want) {
				t.Fatalf("member %d:\ngot  %v\nwant %v", member, got, want)
			}
		}
	}
	var all []string
	for _, signal := range otlp.Signals() {
		all = append(all, fieldsBelow(empty(signal).ProtoReflect().Descriptor(), map[protoreflect.FullName]bool{})...)
	}
	for _, name := range all {
		if !fields[protoreflect.FullName(name)] {
			t.Errorf("the test does not cover %s", name)
		}
	}
}

func fieldsBelow(d protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) (names []string) {
	if seen[d.FullName()] {
		return nil
	}
	seen[d.FullName()] = true
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		names = append(names, string(fd.FullName()))
		if fd.Message() != nil {
			names = append(names, fieldsBelow(fd.Message(), seen)...)
		}
	}
	return names
}

// hexIDs replaces the base64 of IDs in protobuf's JSON with hexadecimal.
func hexIDs(m proto.Message, body []byte) []byte {
	var visit func(m protoreflect.Message)
	visit = func(m protoreflect.Message) {
		m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case fd.Kind() == protoreflect.BytesKind && strings.HasSuffix(string(fd.Name()), "_id"):
				old := base64.StdEncoding.EncodeToString(v.Bytes())
				body = bytes.ReplaceAll(body, []byte(`"`+old+`"`), []byte(`"`+hex.EncodeToString(v.Bytes())+`"`))
			case fd.Message() != nil && fd.IsList():
				for i := range v.List().Len() {
					visit(v.List().Get(i).Message())
				}
			case fd.Message() != nil:
				visit(v.Message())
			}
			return true
		})
	}
	visit(m.ProtoReflect())
	return body
}

func TestJSONDepth(t *testing.T) {
	kvlists := func(n int) string {
		return strings.Repeat(
			`{"kvlistValue":{"values":[{"key":"k","value":`,
			n,
		) + `{"stringValue":"` + strings.Repeat(
			"x",
			300,
		) + `"}` +
			strings.Repeat(
				`}]}}`,
				n,
			)
	}
	for _, levels := range []int{1, 8, 9, 10, 11, 12, 13, 40, 247} {
		m := &logspb.LogsData{}
		fromJSON(t, otlp.Logs, []byte(body(kvlists(levels))), m)
		v := m.GetResourceLogs()[0].GetScopeLogs()[0].GetLogRecords()[0].GetBody()
		for range levels {
			v = v.GetKvlistValue().GetValues()[0].GetValue()
		}
		if len(v.GetStringValue()) != 300 {
			t.Errorf("%d levels: got %v, want a string of 300 bytes", levels, v)
		}
	}
	for name, body := range map[string]string{
		"kvlists": body(kvlists(260)),
		"skipped": `{"future":` + strings.Repeat("[", 1<<20),
		"objects": `{"future":` + strings.Repeat(`{"a":`, 1<<20),
		"values":  body(strings.Repeat(`{"arrayValue":{"values":[`, 1<<18)),
	} {
		if _, err := otlp.FromJSON(
			otlp.Logs,
			[]byte(body),
		); !errors.Is(err, otlp.ErrMalformed) ||
			!strings.Contains(err.Error(), "1000 levels") {
			t.Errorf("%s: got error %v, want ErrMalformed that names 1000 levels", name, err)
		}
	}
}

// buckets returns a body whose result is four times as large.
func buckets(size int) []byte {
	return []byte(metric(`"histogram":{"dataPoints":[{"bucketCounts":[` + strings.Repeat("1,", size/2) + `1]}]}`))
}

func TestJSONWithin(t *testing.T) {
	small := []byte(span(`"name":"a"`))
	data, err := otlp.FromJSON(otlp.Traces, small)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := otlp.FromJSONWithin(otlp.Traces, small, len(data)); !bytes.Equal(got, data) || err != nil {
		t.Errorf("at the limit: got %x, %v, want %x", got, err, data)
	}
	for name, c := range map[string]struct {
		signal otlp.Signal
		body   []byte
	}{
		"small":     {otlp.Traces, small},
		"buckets":   {otlp.Metrics, buckets(4000)},
		"nulls":     {otlp.Traces, []byte(`{"resourceSpans":[null` + strings.Repeat(",null", 100) + `]}`)},
		"strings":   {otlp.Traces, []byte(`{"resourceSpans":[{"resource":{"entityRefs":[{"idKeys":["` + strings.Repeat(`","`, 100) + `"]}]}}]}`)},
		"not UTF-8": {otlp.Logs, []byte(body(`{"stringValue":"` + strings.Repeat("\xff", 100) + `"}`))},
	} {
		if _, err := otlp.FromJSONWithin(
			c.signal,
			c.body,
			len(data)-1,
		); !errors.Is(err, otlp.ErrTooLarge) ||
			errors.Is(err, otlp.ErrMalformed) {
			t.Errorf("%s: got error %v, want ErrTooLarge", name, err)
		}
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// The memory that FromJSON allocates, including garbage, depends on the size of the result, and not
// on the number or depth of its objects. With a limit, it depends on the limit.
func TestJSONMemory(t *testing.T) {
	const size, limit, slack = 1 << 19, 256 << 10, 192 << 10
	for name, c := range map[string]struct {
		signal otlp.Signal
		body   []byte
	}{
		"buckets":      {otlp.Metrics, buckets(size)},
		"objects":      {otlp.Traces, []byte(span(`"links":[{}` + strings.Repeat(",{}", size/3) + `]`))},
		"groups":       {otlp.Traces, []byte(`{"resourceSpans":[{}` + strings.Repeat(",{}", size/3) + `]}`)},
		"unknown":      {otlp.Traces, []byte(`{"future":[{}` + strings.Repeat(",{}", size/3) + `]}`)},
		"long string":  {otlp.Logs, []byte(body(`{"stringValue":"` + strings.Repeat("x", size) + `"}`))},
		"not UTF-8":    {otlp.Logs, []byte(body(`{"stringValue":"` + strings.Repeat("\xff", size) + `"}`))},
		"small points": {otlp.Metrics, []byte(metric(`"gauge":{"dataPoints":[{"asInt":1}` + strings.Repeat(`,{"asInt":"1"}`, size/14) + `]}`))},
	} {
		var result []byte
		total := allocated(func() {
			var err error
			if result, err = otlp.FromJSON(c.signal, c.body); err != nil {
				t.Error(name, err)
			}
		})
		text := 0
		if name == "not UTF-8" {
			text = 5 * len(result) // allocated by append for the string
		}
		if want := uint64(3*len(result)/2 + text + slack); total > want {
			t.Errorf("%s: allocated %d bytes for a result of %d, want at most %d", name, total, len(result), want)
		}
		if cap(result) > len(result)+len(result)/8+slack {
			t.Errorf("%s: the result of %d bytes has a capacity of %d", name, len(result), cap(result))
		}
	}
	tooLarge := buckets(size)
	stopped := allocated(func() {
		if _, err := otlp.FromJSONWithin(otlp.Metrics, tooLarge, limit); !errors.Is(err, otlp.ErrTooLarge) {
			t.Error(err)
		}
	})
	if want := uint64(3*limit/2 + slack); stopped > want {
		t.Errorf("allocated %d bytes with a limit of %d, want at most %d", stopped, limit, want)
	}
}

// Equal bodies have equal results, whatever the reused buffers contained before.
func TestJSONIsDeterministic(t *testing.T) {
	for _, signal := range otlp.Signals() {
		first, err := otlp.FromJSON(signal, example(t, signal))
		if err != nil {
			t.Fatal(err)
		}
		kept := slices.Clone(first)
		if _, err := otlp.FromJSON(
			otlp.Logs,
			[]byte(body(`{"stringValue":"`+strings.Repeat("other\\n", 999)+`"}`)),
		); err != nil {
			t.Fatal(err)
		}
		again, err := otlp.FromJSON(signal, example(t, signal))
		if err != nil || !bytes.Equal(again, kept) || !bytes.Equal(first, kept) {
			t.Errorf("%v: got %x, then %x, %v", signal, first, again, err)
		}
	}
}
