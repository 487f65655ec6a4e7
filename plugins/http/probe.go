package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

var httpProbe = sdk.Probe[config]{
	Type: "http",
	Doc: "Sends an HTTP request for each sample. The sample is good when the status is right and the body, if one is expected, is too; its latency ends with the last byte of the body. " +
		"Redirects are answers like any other unless follow_redirects is set. " +
		"A request without a body that meets a kept connection which the server has just closed is sent once more on another, as browsers do; reuse_connections = false shows every lost connection.",
	Sample: []schema.Attribute{
		{Name: "status", Type: "number", Doc: "status code; absent without an answer"},
		{Name: "body", Type: "string", Doc: "the first kilobyte of the body, with capture_body"},
		{Name: "header", Type: "string", Doc: "value of the header that capture_header names; empty when the answer has none"},
	},
	Check: config.check,
	Open: func(_ context.Context, c config) (func(context.Context) sdk.Sample, func(), error) {
		p, err := newProbe(c)
		if err != nil {
			return nil, nil, err
		}
		return p.measure, p.transport.CloseIdleConnections, nil
	},
}

// captured is how much of a body a sample holds.
const captured = 1 << 10

// probe is an opened probe.
type probe struct {
	transport *http.Transport
	send      func(*http.Request) (*http.Response, error)
	request   *http.Request // never sent itself
	body      []byte
	right     func(status int) bool
	want      *regexp.Regexp // nil: any body
	maxBody   int64
	capture   bool
	header    string
	buffers   sync.Pool
}

func newProbe(c config) (*probe, error) {
	p := &probe{right: c.rightStatus(), body: []byte(c.Body), maxBody: int64(c.MaxBody), capture: c.CaptureBody, header: c.CaptureHeader}
	var err error
	if p.transport, err = c.transport(); err != nil {
		return nil, err
	}
	if p.request, err = c.request(); err != nil {
		return nil, err
	}
	if c.ExpectBody != "" {
		if p.want, err = regexp.Compile(c.ExpectBody); err != nil {
			return nil, fmt.Errorf("expect_body: %w", err)
		}
	}
	p.send = p.transport.RoundTrip // a Client costs more, and only redirects need it
	if c.FollowRedirects {
		p.send = (&http.Client{Transport: p.transport}).Do
	}
	p.buffers.New = func() any { return new(bytes.Buffer) }
	return p, nil
}

// measure sends one request and reads the whole answer.
func (p *probe) measure(ctx context.Context) sdk.Sample {
	r := p.request.WithContext(ctx)
	if len(p.body) > 0 {
		r.ContentLength = int64(len(p.body))
		r.Body = io.NopCloser(bytes.NewReader(p.body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(p.body)), nil }
	}
	answer, err := p.send(r)
	if err != nil {
		if answer != nil { // a redirect that leads nowhere
			answer.Body.Close()
		}
		return sampleOf(ctx, err)
	}
	defer answer.Body.Close()
	if p.want == nil && !p.capture {
		err := drain(answer.Body, p.maxBody)
		return p.judge(ctx, answer, nil, err)
	}
	b := p.buffers.Get().(*bytes.Buffer)
	defer p.buffers.Put(b)
	b.Reset()
	_, err = b.ReadFrom(io.LimitReader(answer.Body, p.maxBody))
	if err == nil {
		err = drain(answer.Body, 0)
	}
	return p.judge(ctx, answer, b.Bytes(), err)
}

// drain reads a body up to a limit. A body that ends there is read to its end, which
// makes its connection free for the next request.
func drain(body io.Reader, limit int64) error {
	if limit > 0 {
		if _, err := io.CopyN(io.Discard, body, limit); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
	var one [1]byte
	if _, err := body.Read(one[:]); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// judge makes the sample of an answer; err is that of reading its body.
func (p *probe) judge(ctx context.Context, answer *http.Response, body []byte, err error) sdk.Sample {
	var s sdk.Sample
	switch {
	case err != nil:
		s = bodyError(ctx, err)
	case !p.right(answer.StatusCode):
		s = sdk.Bad(statusText(answer.StatusCode))
	case p.want != nil && !p.want.Match(body):
		s = sdk.Bad("another body than expected")
	default:
		s = sdk.Good()
	}
	if !p.capture && p.header == "" {
		s.Extra = statusExtra(answer.StatusCode)
		return s
	}
	s.Extra = map[string]any{"status": float64(answer.StatusCode)}
	if p.capture {
		s.Extra["body"] = strings.ToValidUTF8(string(body[:min(len(body), captured)]), "")
	}
	if p.header != "" {
		s.Extra["header"] = strings.ToValidUTF8(answer.Header.Get(p.header), "")
	}
	return s
}
