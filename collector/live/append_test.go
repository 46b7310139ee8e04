package live

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// AppendJSON produces the same encoding as encoding/json, whichever fields are set.
func TestAppendJSON(t *testing.T) {
	var full Pool
	fill(t, reflect.ValueOf(&full).Elem(), "full")
	odd := full
	odd.Name, odd.Reason, odd.Evidence = "<script>\"\\&\x00\u2028\xff", "ä", []string{"one"}
	odd.Used, odd.Rate, odd.Wait.P50 = Known(1e300), Known(-0.0000001), Figure{}
	for name, pools := range map[string][]Pool{
		"none": {}, "empty": {{}}, "full": {full}, "odd": {odd, full, {Name: "x", Wait: Quantiles{P99: Known(3)}, Spark: Spark{Fill: Column{{}, Known(0.12345)}}}},
	} {
		p := &Picture{At: time.Unix(1, 5), Service: `"pools":[]`, Pools: pools, Containers: []Container{{Path: "/"}}}
		want, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.AppendJSON([]byte("data: "))
		if err != nil || string(got) != "data: "+string(want) {
			t.Errorf("%s: got error %v and\n%s\nwant\n%s", name, err, got, want)
		}
	}
}

// fill sets v and all of its fields to values other than their zero values.
func fill(t *testing.T, v reflect.Value, name string) {
	t.Helper()
	switch at := v.Addr().Interface().(type) {
	case *Figure:
		*at = Known(float64(len(name)) + 1/3.0)
	case *Column:
		*at = Column{Known(0.5), {}, Known(12345678)}
	case *time.Time:
		*at = time.Date(2026, 11, 29, 1, 2, 3, 456000, time.FixedZone("", 3600))
	case *string:
		*at = name
	case *[]string:
		*at = []string{name, name + " again"}
	case *[]Holder:
		*at = []Holder{{Age: 1.5, Calls: []string{name}, Trace: "4bf9"}, {Age: 2}}
	default:
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				fill(t, v.Field(i), fmt.Sprintf("%s.%s", name, v.Type().Field(i).Name))
			}
		case reflect.String:
			v.SetString(name)
		default:
			t.Fatalf("%s: fill does not support the type %s", name, v.Type())
		}
	}
}

// Read replaces all of a Picture's previous content, whatever the order of its pools.
func TestReadReplacesThePicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, start := New(Config{}), time.Now()
		var p Picture
		for round, waiting := range []string{"a", "b", ""} {
			time.Sleep(time.Second)
			r := requestAt(start, time.Now())
			for _, name := range []string{"a", "b", "c"}[round:] {
				r.number(catalog.PoolLimit, 2, ofPool(name)...)
				r.number(catalog.PoolUsage, float64(name[0]-'a'), ofPool(name, string(catalog.PoolStateKey), "used")...)
				if name == waiting {
					r.number(catalog.PoolPendingAge, 5, ofPool(name)...).number(catalog.PoolPending, 1, ofPool(name)...)
				}
			}
			l.Offer(r.wire(t))
			if round == 2 {
				l.prune(time.Now().Add(forgetAfter))
			}
			l.Read(&p)
			got, want := p, *l.Picture()
			got.unsorted, want.unsorted = nil, nil
			if !reflect.DeepEqual(got, want) {
				t.Errorf("round %d: got\n%+v\nwant\n%+v", round, got, want)
			}
			for _, one := range got.Pools {
				if last := one.Spark.Fill[sparkColumns-1]; last != one.Fill() {
					t.Errorf("round %d: the spark of %s ends at %v, want %v", round, one.Name, last, one.Fill())
				}
			}
			if waiting != "" && got.Pools[0].Name != waiting {
				t.Errorf("round %d: the first pool is %s, want %s", round, got.Pools[0].Name, waiting)
			}
		}
	})
}
