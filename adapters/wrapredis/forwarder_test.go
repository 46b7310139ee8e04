package wrapredis

import (
	"context"
	"reflect"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// pipelineCounter is a recorder that counts pipelines.
type pipelineCounter struct {
	redis.OTelRecorder
	n int
}

func (r *pipelineCounter) RecordPipelineOperationDuration(
	context.Context, time.Duration, string, int, int, error, redis.ConnInfo, int,
) {
	r.n++
}

func TestPipelinesAreForwardedToAllRecorders(t *testing.T) {
	one, two := &pipelineCounter{}, &pipelineCounter{}
	forwarder{one, two}.RecordPipelineOperationDuration(t.Context(), time.Second, "PIPELINE", 2, 1, nil, nil, 0)
	if one.n != 1 || two.n != 1 {
		t.Errorf("the recorders counted %d and %d pipelines, want 1 each", one.n, two.n)
	}
}

// unimplemented has all methods that a recorder may have, and panics if one is called.
type unimplemented struct {
	redis.OTelRecorder
	redis.OTelConnectionCounter
	redis.OTelPoolRegistrar
}

// Each method of a forwarder calls the recorder's method of the same name.
func TestEveryMethodIsForwarded(t *testing.T) {
	f := reflect.ValueOf(forwarder{&unimplemented{}})
	methods := map[string]bool{}
	for _, of := range []reflect.Type{
		reflect.TypeFor[redis.OTelRecorder](), reflect.TypeFor[redis.OTelConnectionCounter](), reflect.TypeFor[redis.OTelPoolRegistrar](),
	} {
		for i := range of.NumMethod() {
			methods[of.Method(i).Name] = true
		}
	}
	for name := range methods {
		var args []reflect.Value
		method := f.MethodByName(name)
		for i := range method.Type().NumIn() {
			args = append(args, reflect.Zero(method.Type().In(i)))
		}
		func() {
			defer func() {
				if recover() == nil || !strings.Contains(string(debug.Stack()), "(*unimplemented)."+name+"(") {
					t.Errorf("%s does not call the recorder's %s", name, name)
				}
			}()
			method.Call(args)
		}()
	}
	if len(methods) < 17 {
		t.Errorf("%d methods, want 17 or more", len(methods))
	}
}
