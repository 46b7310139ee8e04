package export

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/poolgauge/poolgauge/collector/compress"
	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
)

// numbered returns batch i. Its data is its number, and the number determines its points, from 1 to
// 9.
func numbered(i int) otlp.Batch {
	return otlp.Batch{Signal: otlp.Metrics, Points: int64(i%9 + 1), Data: binary.BigEndian.AppendUint32(nil, uint32(i))}
}

// ledger records what an upstream has received, by batch number.
type ledger struct {
	t        *testing.T
	bad      func(i int) bool
	accepted map[int]int
	last     int // number of the last batch accepted for the first time
	lost     int64
}

func newLedger(t *testing.T, bad func(i int) bool) *ledger {
	t.Helper()
	return &ledger{t: t, bad: bad, accepted: map[int]int{}, last: -1}
}

// numbers returns the batches in a request, and whether all of them are good.
func (l *ledger) numbers(data []byte) (numbers []int, good bool) {
	good = true
	for ; len(data) >= 4; data = data[4:] {
		i := int(binary.BigEndian.Uint32(data))
		numbers = append(numbers, i)
		good = good && !l.bad(i)
	}
	return numbers, good
}

func (l *ledger) take(numbers []int) {
	for _, i := range numbers {
		if l.accepted[i]++; l.accepted[i] == 1 {
			if i <= l.last {
				l.t.Errorf("batch %d arrived after batch %d", i, l.last)
			}
			l.last = i
		}
	}
}

// check compares the ledger with the exporter's account after n batches have been put and none of
// them is queued. A request may also have been accepted in part.
func (l *ledger) check(n int, a Account) {
	l.t.Helper()
	var put, refused int64
	for i := range n {
		put += numbered(i).Points
		if l.bad(i) {
			refused += numbered(i).Points
		}
		if got := l.accepted[i]; (got > 0) == l.bad(i) {
			l.t.Errorf("batch %d, bad %v, was accepted %d times", i, l.bad(i), got)
		}
	}
	equal(l.t, "permanently rejected", a.Rejected[Rejection{queue.Metrics, "INVALID_ARGUMENT"}], refused)
	equal(l.t, "rejected in part", a.Rejected[Rejection{queue.Metrics, "partial"}], l.lost)
	equal(l.t, "sent and rejected", a.Sent[queue.Metrics]+refused+l.lost, put)
}

// Whatever the upstream does, each good batch arrives, in order, and every point is accounted for.
func TestEveryPointIsAccountedFor(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			l := newLedger(t, func(i int) bool { return i%17 == 3 || i > 400 && i < 420 })
			f := &fake{answer: func(ctx context.Context, b otlp.Batch) (Result, error) {
				numbers, good := l.numbers(b.Data)
				switch random.IntN(6) {
				case 0:
					return Result{}, passing("UNAVAILABLE")
				case 1:
					<-ctx.Done()
					l.takeIf(good, numbers) // and the response was lost
					return Result{}, passing("DEADLINE_EXCEEDED")
				case 2:
					time.Sleep(time.Duration(random.IntN(9000)) * time.Millisecond)
				}
				if !good {
					return Result{}, permanent("INVALID_ARGUMENT")
				}
				l.take(numbers)
				var r Result
				if random.IntN(4) == 0 {
					r.Rejected = random.Int64N(b.Points + 1)
				}
				l.lost += r.Rejected
				return r, nil
			}}
			r := start(t, f, patient)
			const n = 600
			pauses := rand.New(rand.NewPCG(seed, 2))
			for i := range n {
				r.putBatch(numbered(i))
				time.Sleep(time.Duration(pauses.IntN(1000)) * time.Millisecond)
			}
			r.drain(24 * time.Hour)
			equal(t, "queued", r.queue.Account().Queued(), 0)
			l.check(n, r.Account())
		})
	}
}

func (l *ledger) takeIf(good bool, numbers []int) {
	if good {
		l.take(numbers)
	}
}

// rejectCounter is a client that counts the rejected points in the responses that it receives.
type rejectCounter struct {
	Client

	lost atomic.Int64
}

func (h *rejectCounter) Send(ctx context.Context, r Request) (Result, error) {
	result, err := h.Client.Send(ctx, r)
	if err == nil {
		h.lost.Add(result.Rejected)
	}
	return result, err
}

// Every point is also accounted for over a real connection that breaks. On a busy machine, requests
// may also time out while the upstream is answering them: their responses are lost, and the next
// request arrives in the meantime.
func TestToxicConnection(t *testing.T) {
	exhausted, err := status.New(codes.ResourceExhausted, "slow down").
		WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(7, 7))
	l := newLedger(t, func(i int) bool { return i%17 == 3 })
	var mu sync.Mutex // guards random and l
	var s *grpcServer
	var p *proxy
	s = serveGRPC(t, listen(t, ""), func(_ context.Context, n int) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		numbers, good := l.numbers(s.requests()[n].body)
		switch random.IntN(12) {
		case 0:
			return nil, status.Error(codes.Unavailable, "busy")
		case 1:
			return nil, exhausted.Err()
		case 2:
			p.reset()
			return nil, status.Error(codes.Aborted, "response lost")
		case 3:
			p.halfOpen()
			return nil, status.Error(codes.Aborted, "response lost")
		}
		if !good {
			return nil, status.Error(codes.InvalidArgument, "bad")
		}
		l.take(numbers)
		if random.IntN(4) == 0 {
			return partial(t, 1, "one too many"), nil
		}
		return nil, nil
	})
	p = newProxy(t, s.addr)
	dialed, err := Dial(Config{Protocol: GRPC, Compression: compress.Gzip, URL: "http://" + p.addr})
	if err != nil {
		t.Fatal(err)
	}
	client := &rejectCounter{Client: dialed}
	r := start(
		t,
		client,
		rules{Policy{LeastBackoff: time.Millisecond, LongestBackoff: 5 * time.Millisecond}, 300 * time.Millisecond, 0},
	)
	const n = 150
	for i := range n {
		r.putBatch(numbered(i))
		if i%3 == 0 {
			for r.queue.Account().Queued() > 20 { // many small requests
				time.Sleep(time.Millisecond)
			}
		}
	}
	r.drain(2 * time.Minute)
	equal(t, "queued", r.queue.Account().Queued(), 0)
	if l.lost = client.lost.Load(); l.lost == 0 {
		t.Error("no request was rejected in part")
	}
	l.check(n, r.Account())
	if p.connections() < 3 {
		t.Errorf("%d connections, want at least 3, since some were broken", p.connections())
	}
}
