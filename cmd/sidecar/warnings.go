package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/top"
	"github.com/poolgauge/poolgauge/collector/live"
)

// checkWarnings asks a running sidecar, whose page is at address, for pools that are in trouble or
// close to it, and prints a line for each. If there are any, the error says how many.
func checkWarnings(ctx context.Context, out io.Writer, address string) error {
	client, err := top.NewClient(address)
	if err != nil {
		return usageError{fmt.Errorf("--warnings: %w", err)}
	}
	defer client.Close()
	picture, err := client.Picture(ctx)
	if err != nil {
		return fmt.Errorf("--warnings: %w", err)
	}
	if len(picture.Pools) == 0 {
		return errors.New("--warnings: no pool has reported yet")
	}
	n := 0
	for i := range picture.Pools { // sorted, the worst first
		if warning, ok := warningOf(&picture.Pools[i]); ok {
			n++
			fmt.Fprintln(out, printable(warning))
		}
	}
	if n > 0 && picture.Host.Verdict != "" {
		fmt.Fprintln(out, printable(fmt.Sprintf("host: %s: %s", picture.Host.Verdict, picture.Host.Evidence)))
	}
	if n > 0 {
		return fmt.Errorf("pools in trouble or close to it: %d of %d", n, len(picture.Pools))
	}
	fmt.Fprintf(out, "No pool is in trouble or close to it (%d checked).\n", len(picture.Pools))
	return nil
}

// warningOf returns what is wrong with p; ok is false if nothing is wrong.
func warningOf(p *live.Pool) (warning string, ok bool) {
	level := p.Level
	if level == live.Good && p.Verdict != "" && p.Verdict != "oversized" {
		level = live.Warning // such as lock contention while callers are still served
	}
	if level != live.Trouble && level != live.Warning {
		return "", false
	}
	why := p.Reason
	if p.Verdict != "" {
		why = strings.TrimPrefix(fmt.Sprintf("%s; %s: %s", why, p.Verdict, strings.Join(p.Evidence, "; ")), "; ")
	}
	return fmt.Sprintf("%s: %s %s of %s: %s", level, p.Kind, p.Name, p.Service, why), true
}

// printable makes untrusted text safe for a terminal by replacing unprintable characters.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, text)
}
