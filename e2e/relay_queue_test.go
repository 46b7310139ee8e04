package e2e

import (
	"bytes"
	"context"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// recordOverhead is the number of bytes that a batch counts against --queue-size in addition to its
// size.
const recordOverhead = 42

// A queue with room for N batches keeps the N newest through an outage, however long the upstream
// tells the sidecar to wait. It drops the oldest and counts each of their points.
func TestRelayKeepsTheNewest(t *testing.T) {
	later, err := status.New(codes.Unavailable, "later").
		WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(pick(2*time.Second, 25*time.Second))})
	if err != nil {
		t.Fatal(err)
	}
	refusing := fault(func(context.Context, delivery) ([]byte, error) { return nil, later.Err() })
	for name, c := range map[string]struct {
		args  []string
		fault *fault // nil: nothing is listening
	}{
		"in memory, absent":   {nil, nil},
		"on disk, absent":     {[]string{"--queue-dir=" + t.TempDir()}, nil},
		"on disk, retry info": {[]string{"--queue-dir=" + t.TempDir()}, &refusing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const limit, total = 1 << 20, 200
			up, a := newSink(t), &app{padding: 8 << 10}
			up.fault.Store(c.fault)
			addr := freeAddress(t)
			if c.fault != nil {
				up.listen(addr)
			}
			s := newRelay(t, addr, append(c.args, "--queue-size=1MiB")...).start()
			s.awaitLog(loggedDown)
			a.sendAll(t, total, s.all()...)
			up.fault.Store(nil)
			if c.fault == nil {
				up.listen(addr)
			}
			up.awaitAll([]int64{total - 1})
			// Wait until the sidecar's own points are sent too: shutdown may take less time than
			// the wait for their next attempt.
			s.awaitLog(loggedUp)
			s.terminate()
			last := up.awaitAccount("at the end", func(a account) bool { return a.sent > 0 })
			up.checkOnceInOrder()
			up.checkAccounts()

			up.mu.Lock()
			defer up.mu.Unlock()
			// A sixteenth is reserved for each of the other lanes.
			kept := (limit - 3*limit/16) / (up.batchSize() + recordOverhead)
			t.Logf("room for %d of %d batches: %d arrived, %d points dropped", kept, total, len(up.order), last.dropped)
			// The first batch was in flight when the queue became full. Its space was freed, but it
			// is still sent.
			if len(up.order) != kept+1 || up.order[0] != 0 || up.order[1] != int64(total-kept) {
				t.Errorf(
					"%d requests arrived, %v …; want the first and the %d newest of %d",
					len(up.order),
					up.order[:2],
					kept,
					total,
				)
			}
			if want := (total - kept - 1) * pointsPerRequest; last.dropped != want ||
				last.reasons["dropped full"] != want {
				t.Errorf("%d points counted as dropped (%v), want %d", last.dropped, last.reasons, want)
			}
		})
	}
}

// batchSize returns the size in bytes of the app's requests on arrival, which is the same for all.
// Caller must hold mu.
func (s *sink) batchSize() int {
	s.t.Helper()
	i := slices.IndexFunc(s.taken, func(d delivery) bool { return len(d.seqs) > 0 && len(d.seqs) == d.batches })
	if i < 0 {
		s.t.Fatal("no delivery has only requests of the app")
	}
	return s.taken[i].size / s.taken[i].batches
}

// A queue directory belongs to one sidecar. A second sidecar logs that the directory is in use,
// exits and does not disturb the first.
func TestRelayOneSidecarPerDirectory(t *testing.T) {
	up, a, dir := newSink(t), &app{}, t.TempDir()
	addr := up.listen("127.0.0.1:0")
	first := newRelay(t, addr, "--queue-dir="+dir).start()
	second := startFaulty(t, addr, "POOLGAUGE_QUEUE_DIR="+dir)
	if code := second.wait(); code != 1 || second.count("in use by another sidecar") != 1 {
		t.Errorf("the second sidecar exited with code %d, want 1 and the reason in its log", code)
	}
	a.sendAll(t, 8, first.all()...)
	up.awaitAll(a.acknowledged())
}

// The sidecar exits with an error that names the file if the directory contains a file that is not
// a queue file, or one written by a newer release. The file is left unchanged.
func TestRelayRefusesForeignFiles(t *testing.T) {
	newer := append([]byte("pgqueue\n"), 2, 0, 0, 0)
	sum := crc32.Checksum(newer, crc32.MakeTable(crc32.Castagnoli))
	newer = append(newer, byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24))
	for name, c := range map[string]struct {
		file, want string
		content    []byte
	}{
		"another program's": {"notes.txt", "notes.txt: not a queue file", []byte("mine")},
		"same name":         {"0000000000000001.segment", "not a queue file", bytes.Repeat([]byte("mine "), 100)},
		"newer":             {"0000000000000001.segment", "format is 2, expected 1", newer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, c.file)
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			s := startFaulty(t, freeAddress(t), "POOLGAUGE_QUEUE_DIR="+dir)
			if code := s.wait(); code != 1 || s.count(c.want) != 1 {
				t.Errorf("the sidecar exited with code %d, want 1 and %q logged once", code, c.want)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, c.content) {
				t.Errorf("the file was changed: %q, %v", after, err)
			}
		})
	}
}
