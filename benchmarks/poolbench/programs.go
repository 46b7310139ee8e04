package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/poolgauge/poolgauge/diagnose"
)

// answer holds the verdicts that a verdict program gives for a line of input, named as in the
// metrics. An empty string means no verdict.
type answer struct {
	Pool string `json:"pool"`
	Host string `json:"host"`
}

// program is a verdict program, which gives an answer for each request of a run.
type program struct {
	name  string
	judge func(requests []*message) ([]answer, error)
}

var (
	ours       = program{"ours", func(r []*message) ([]answer, error) { return judged(r, true), nil }}
	eachWindow = program{
		"ours, without hysteresis",
		func(r []*message) ([]answer, error) { return judged(r, false), nil },
	}
	simple = program{"simple rules", simpleRules}
)

// judge is a verdict program that calls package diagnose.
type judge struct {
	pool diagnose.Judge
	host diagnose.HostJudge
}

func (j *judge) see(r *message) (holds, window answer) {
	v := valuesOf(r)
	hostHolds, host := j.host.See(v.host())
	poolHolds, pool := j.pool.See(v.pool(), j.host.Machine())
	holds = answer{poolHolds.Verdict.String(), hostHolds.Verdict.String()}
	window = answer{pool.Verdict.String(), host.Verdict.String()}
	return holds, window
}

func judged(requests []*message, hysteresis bool) (answers []answer) {
	var j judge
	for _, r := range requests {
		holds, window := j.see(r)
		if !hysteresis {
			holds = window
		}
		answers = append(answers, holds)
	}
	return answers
}

// simpleRules is the baseline. It judges like simple alerts on utilization, waits, failures and
// throttling.
func simpleRules(requests []*message) (answers []answer, err error) {
	var before values
	for i, r := range requests {
		v := valuesOf(r)
		a := answer{diagnose.OK.String(), diagnose.HostOK.String()}
		if i > 0 {
			w, m := diagnose.Between(before.pool(), v.pool()), diagnose.HostBetween(before.host(), v.host())
			switch {
			case w.Failed > 0.5:
				a.Pool = diagnose.Failing.String()
			case w.Utilization > 0.9 && w.Wait > 0.1:
				a.Pool = diagnose.TooSmall.String()
			case w.Utilization < 0.1:
				a.Pool = diagnose.Oversized.String()
			}
			if m.Throttled > 0.25 {
				a.Host = diagnose.Throttled.String()
			}
		}
		before = v
		answers = append(answers, a)
	}
	return answers, nil
}

// external returns a verdict program that runs command. For each line of OTLP/JSON that it reads,
// the command writes a line of JSON with its verdicts on the pool and on the host.
func external(command string) program {
	return program{"`" + command + "`", func(requests []*message) (answers []answer, err error) {
		var in bytes.Buffer
		if err := writeLines(&in, requests); err != nil {
			return nil, err
		}
		c := exec.CommandContext(context.Background(), "sh", "-c", command)
		c.Stdin, c.Stderr = &in, os.Stderr
		out, err := c.Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", command, err)
		}
		for line := range bytes.Lines(out) {
			var a answer
			if err := json.Unmarshal(line, &a); err != nil {
				return nil, fmt.Errorf("%s: line %d: %w", command, len(answers)+1, err)
			}
			answers = append(answers, a)
		}
		if len(answers) != len(requests) {
			return nil, fmt.Errorf(
				"%s: got %d lines for %d lines of input, expected one for each",
				command,
				len(answers),
				len(requests),
			)
		}
		return answers, nil
	}}
}

// judgeLines reads requests from in and writes poolgauge's verdicts to out, in the formats of a
// verdict program.
func judgeLines(in io.Reader, out io.Writer) error {
	var j judge
	w := bufio.NewWriter(out)
	if err := eachLine(in, func(r *message) error {
		holds, _ := j.see(r)
		return json.NewEncoder(w).Encode(holds)
	}); err != nil {
		return err
	}
	return w.Flush()
}
