package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/poolgauge/poolgauge/collector/live"
)

const (
	requestTimeout  = 5 * time.Second
	maxResponseSize = 32 << 20 // bytes
)

// Client reads the data of a running sidecar from its page. It is safe for concurrent use.
type Client struct {
	base *url.URL
	http *http.Client
}

// NewClient returns a client for the page at address, which is host:port or a URL without a path.
func NewClient(address string) (*Client, error) {
	full := address
	if !strings.Contains(address, "://") {
		full = "http://" + address
	}
	base, err := url.Parse(full)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" ||
		strings.Trim(base.Path, "/") != "" {
		return nil, fmt.Errorf("%q: expected the address of a sidecar's page, such as 127.0.0.1:4320", address)
	}
	base.Path = ""
	return &Client{base, &http.Client{Timeout: requestTimeout, Transport: &http.Transport{}}}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) String() string { return c.base.Host }

// Picture returns a snapshot of everything that the sidecar's page shows.
func (c *Client) Picture(ctx context.Context) (*live.Picture, error) {
	var p live.Picture
	if err := c.get(ctx, c.base.JoinPath("api/v1/picture"), &p); err != nil {
		return nil, err
	}
	if p.At.IsZero() {
		return nil, fmt.Errorf("%s does not serve a sidecar page, or serves one of an incompatible version", c)
	}
	return &p, nil
}

// History returns the last 15 minutes of the pool with the given ID.
func (c *Client) History(ctx context.Context, id string) (*live.History, error) {
	var h live.History
	err := c.get(ctx, c.base.JoinPath("api/v1/pools", url.PathEscape(id), "history"), &h)
	return &h, err
}

func (c *Client) get(ctx context.Context, from *url.URL, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return fmt.Errorf("%s returned %s: %.200q", c, resp.Status, strings.TrimSpace(string(text)))
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxResponseSize)).Decode(into); err != nil {
		var network net.Error
		if ctx.Err() != nil || errors.As(err, &network) {
			return c.explain(err)
		}
		return fmt.Errorf("%s does not serve a sidecar page, or serves one of an incompatible version", c)
	}
	return nil
}

// explain returns an error for err whose text is one short line for the screen.
func (c *Client) explain(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing is listening at %s", c)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s did not respond within %v", c, requestTimeout)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return fmt.Errorf("%s: %w", c, err)
}
