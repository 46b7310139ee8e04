package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/poolgauge/poolgauge/collector/live"
)

// checkWarnings asks a running sidecar, whose page is at pageURL, for pools that are in trouble or
// close to it, and prints a line for each. If there are any, the error says how many.
func checkWarnings(ctx context.Context, out io.Writer, pageURL string) error {
	base, err := url.Parse(pageURL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return usageError{
			fmt.Errorf("--warnings: expected the page's URL, such as http://127.0.0.1:4320, got %q", pageURL),
		}
	}
	picture, err := fetch(ctx, base.JoinPath("api/v1/picture").String())
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

// maxPicture bounds how many bytes of a picture are read. Real pictures are smaller.
const maxPicture = 64 << 20

// fetch returns the picture served at pictureURL.
func fetch(ctx context.Context, pictureURL string) (*live.Picture, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, pictureURL, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body := io.LimitReader(response.Body, maxPicture)
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(body, 200))
		return nil, fmt.Errorf(
			"%s returned %s: %s", pictureURL, response.Status, printable(strings.TrimSpace(string(text))))
	}
	picture := &live.Picture{}
	if err := json.NewDecoder(body).Decode(picture); err != nil {
		return nil, fmt.Errorf(
			"%s does not serve a sidecar page, or serves one of an incompatible version: %w", pictureURL, err)
	}
	return picture, nil
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
