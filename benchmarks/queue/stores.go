package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/wal"
	bolt "go.etcd.io/bbolt"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
)

// store is the contenders' common interface. put may be called concurrently. Calls to take and done
// alternate.
type store interface {
	put(data []byte) error
	take() ([]byte, error) // waits for a batch and returns the oldest
	done() error           // removes the batch that take returned
	close() error
}

// stores holds the contenders' constructors. If sync is true, put syncs before it returns.
var stores = map[string]func(dir string, sync bool) (store, error){
	"ours":  openOurs,
	"bbolt": openBolt,
	"wal":   openWAL,
}

type ours struct {
	*queue.Queue

	flight *queue.Flight
}

func openOurs(dir string, sync bool) (store, error) {
	interval := time.Second
	if sync {
		interval = 0
	}
	q, err := queue.Open(
		queue.Config{
			Dir:   dir,
			Limit: 16 << 20,
			Lanes: []queue.Lane{queue.Metrics},
			Sync:  interval,
			Log:   slog.Default(),
		},
	)
	if err != nil {
		return nil, err
	}
	return &ours{Queue: q}, nil
}

func (o *ours) put(data []byte) error {
	return o.Put(context.Background(), queue.Metrics, otlp.Batch{Signal: otlp.Metrics, Points: 1, Data: data})
}

func (o *ours) take() (data []byte, err error) {
	if o.flight, err = o.Take(context.Background(), queue.Metrics, 1); err != nil {
		return nil, err
	}
	pieces, _ := o.flight.Range(0, o.flight.Len())
	return bytes.Join(pieces, nil), nil
}

func (o *ours) done() error {
	o.flight.Settle(0)
	return nil
}

func (o *ours) close() error { return o.Close(context.Background()) }

// boltStore uses bbolt as the Collector's file_storage does: with the same options, and a
// transaction for each put, each read and each removal. It does not write the indexes of the
// Collector's queue, an omission that favors bbolt.
type boltStore struct {
	*bolt.DB

	written atomic.Uint64
	read    uint64
	ready   chan struct{}
}

var bucket = []byte("default")

func openBolt(dir string, sync bool) (store, error) {
	db, err := bolt.Open(
		filepath.Join(dir, "bolt"),
		0o600,
		&bolt.Options{NoSync: !sync, NoFreelistSync: true, FreelistType: bolt.FreelistMapType},
	)
	if err != nil {
		return nil, err
	}
	return &boltStore{DB: db, ready: make(chan struct{}, 1<<20)}, db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
}

func key(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func (b *boltStore) put(data []byte) error {
	err := b.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucket).Put(key(b.written.Add(1)), data) })
	b.ready <- struct{}{}
	return err
}

func (b *boltStore) take() (data []byte, err error) {
	<-b.ready
	b.read++
	err = b.View(func(tx *bolt.Tx) error {
		data = append(data, tx.Bucket(bucket).Get(key(b.read))...)
		return nil
	})
	return data, err
}

func (b *boltStore) done() error {
	return b.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucket).Delete(key(b.read)) })
}

func (b *boltStore) close() error { return b.Close() }

// walStore keeps a log and truncates its front only occasionally, since each truncation rewrites a
// segment.
type walStore struct {
	*wal.Log

	mu            sync.Mutex
	written, read uint64
	ready         chan struct{}
}

const truncateEvery = 64

func openWAL(dir string, sync bool) (store, error) {
	l, err := wal.Open(
		dir,
		&wal.Options{NoSync: !sync, NoCopy: false, SegmentSize: 1 << 20, LogFormat: wal.Binary, SegmentCacheSize: 2},
	)
	if err != nil {
		return nil, err
	}
	return &walStore{Log: l, ready: make(chan struct{}, 1<<20)}, nil
}

func (w *walStore) put(data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written++
	w.ready <- struct{}{}
	return w.Write(w.written, data)
}

func (w *walStore) take() ([]byte, error) {
	<-w.ready
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read++
	return w.Read(w.read)
}

func (w *walStore) done() error {
	if w.read%truncateEvery != 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.TruncateFront(w.read)
}

func (w *walStore) close() error { return w.Close() }
