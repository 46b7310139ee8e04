package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// A queue directory that is deleted under load is created again. Requests acknowledged before and
// after the deletion survive kills.
func TestRelayDeletedDirectoryLosesNothing(t *testing.T) {
	up, a := newSink(t), &app{}
	dir := filepath.Join(t.TempDir(), "q")
	r := newRelay(t, freeAddress(t), "--queue-dir="+dir, "--queue-sync=0")
	toSocket := overGRPC(t, "unix:"+r.socket)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	// When a sidecar is killed, the load waits for the next one.
	wait := a.load(ctx, time.Millisecond, slices.Repeat([]transport{toSocket}, 4)...)
	for range pick(3, 20) {
		s := r.start()
		<-time.After(300 * time.Millisecond) // under load
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		s.awaitLog("queue storage recovered")
		<-time.After(100 * time.Millisecond) // under load again
		s.kill()
	}
	up.listen(r.upstream)
	s := r.start()
	stop()
	wait()
	acked := a.acknowledged()
	up.awaitAll(acked)
	t.Logf("%d requests acknowledged, none lost", len(acked))
	s.terminate()
}
