package queue

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

// A segment is a header followed by records. The header is a magic word, the format version, and
// the CRC-32C of both.
const (
	version       = 1
	segmentHeader = 16
	segmentSuffix = ".segment"
)

var magic = []byte("pgqueue\n")

// segment is an open segment file.
type segment struct {
	name string
	file file
	size int64 // where the next record goes; used by the writer only

	// guarded by the queue's mu
	live   int  // records that are not done
	pins   int  // number of readers and syncs that need the file to stay open
	sealed bool // nothing may be appended
	dirty  bool // written to since the last sync
	gone   bool // no record is needed; the file is deleted or about to be
	moved  bool // some batches must be written elsewhere, which may not have happened yet
}

func segmentName(number uint64) string { return fmt.Sprintf("%016x%s", number, segmentSuffix) }

// segmentNumber is the inverse of [segmentName].
func segmentNumber(name string) (n uint64, ok bool) {
	digits, found := strings.CutSuffix(name, segmentSuffix)
	_, err := fmt.Sscanf(digits, "%x", &n)
	return n, found && err == nil && name == segmentName(n)
}

func newHeader(version uint32) []byte {
	b := binary.LittleEndian.AppendUint32(bytes.Clone(magic), version)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// checkHeader returns an error if b, the contents of a file, is not a segment that this release can
// read. A damaged header is acceptable if a valid record follows, and so is a file whose header was
// not completely written.
func checkHeader(b []byte) error {
	header := b[:min(len(b), segmentHeader)]
	if len(header) == segmentHeader && bytes.HasPrefix(header, magic) &&
		binary.LittleEndian.Uint32(header[12:]) == crc32.Checksum(header[:12], castagnoli) {
		if v := binary.LittleEndian.Uint32(header[8:]); v != version {
			return fmt.Errorf(
				"format is %d, expected %d: run the release that wrote the file until the queue is empty, "+
					"or choose another directory",
				v,
				version,
			)
		}
		return nil
	}
	torn := bytes.HasPrefix(newHeader(version), header) || len(bytes.Trim(b, "\x00")) == 0
	if torn || nextRecord(b) < len(b) {
		return nil
	}
	return errForeign
}

// read returns the record at offset in s, and the record's data. It returns errDamaged if the
// record's header or data is corrupt.
func (s *segment) read(offset int64, length uint32) (r record, data []byte, err error) {
	b := make([]byte, recordSize+int64(length))
	if _, err := s.file.ReadAt(b, offset); err != nil {
		return record{}, nil, err
	}
	r, ok := readRecord(b)
	if !ok {
		return record{}, nil, errDamaged
	}
	if data, ok = dataOf(b, r); !ok {
		return record{}, nil, errDamaged
	}
	return r, data, nil
}
