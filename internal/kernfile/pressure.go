package kernfile

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// Pressure is the pressure stall information of one resource: the total time in which some task
// (some), or all non-idle tasks (full), waited for the resource. A value that the kernel does not
// report is undefined; Linux has reported "full" for cpu since 5.13.
type Pressure struct {
	Some, Full Optional[time.Duration]
}

// parsePressure parses a PSI file, such as those in /proc/pressure and in cgroups. It returns only
// the totals, from which averages can be derived. The value of a malformed line is undefined.
//
// Format: https://docs.kernel.org/accounting/psi.html.
func parsePressure(data []byte) (Pressure, error) {
	var p Pressure
	var errs []error
	for line := range bytes.Lines(data) {
		kind, rest := cutWord(line)
		var to *Optional[time.Duration]
		switch string(kind) {
		case "some":
			to = &p.Some
		case "full":
			to = &p.Full
		default:
			continue
		}
		total, err := pressureTotal(rest)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", kind, err))
			continue
		}
		*to = Some(total)
	}
	if len(data) > 0 && !p.Some.Defined && !p.Full.Defined && errs == nil {
		errs = append(errs, fmt.Errorf("%q is not pressure stall information", clip(data)))
	}
	return p, errors.Join(errs...)
}

// pressureTotal returns the total in the fields of a line, such as "avg10=0.00 avg60=0.00
// avg300=0.00 total=0". The kernel reports it in microseconds.
func pressureTotal(fields []byte) (time.Duration, error) {
	_, total, ok := bytes.Cut(fields, []byte("total="))
	if !ok {
		return 0, errors.New("no total")
	}
	us, err := ParseInt(total)
	if err != nil {
		return 0, err
	}
	return Micro(us), nil
}

// Micro converts microseconds to a [time.Duration]. It clamps values above 292 years, which would
// overflow.
func Micro(us int64) time.Duration {
	const maxMicros = int64(1<<63-1) / int64(time.Microsecond)
	return time.Duration(min(us, maxMicros)) * time.Microsecond
}

// Pressure reads f, a PSI file.
func (r *Reader) Pressure(f *File) (Pressure, error) {
	data, err := r.ReadFile(f)
	if err != nil {
		return Pressure{}, err
	}
	p, err := parsePressure(data)
	if err != nil {
		err = fmt.Errorf("%s: %w", f.Path, err)
	}
	return p, err
}
