//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/faultline-go/faultline/plugins/proxy/web"
)

// requests says which HTTP requests a fault hits.
type requests struct {
	Method  string            `hcl:"method,optional" doc:"Only requests with this method. Default: all."`
	Path    string            `hcl:"path,optional" doc:"Only requests with this path; * stands for any text. A gRPC call has the path /package.Service/Method."`
	Host    string            `hcl:"host,optional" doc:"Only requests to this host, with or without its port; * stands for any text."`
	Header  map[string]string `hcl:"header,optional" doc:"Only requests that have all these headers with these values; * stands for any text."`
	Percent float64           `hcl:"percent,optional" default:"100" min:"0" max:"100" doc:"Share of the requests that match that are hit."`
	First   int               `hcl:"first,optional" min:"1" doc:"Hit only the first so many requests that match. Default: no limit."`
	Seed    int               `hcl:"seed,optional" min:"1" doc:"The same seed hits the same requests, if they come in the same order. Default: another one each time."`
	led
}

func (r requests) seed() uint64 { return uint64(r.Seed) }

func (r requests) request(e web.Effect, seed uint64) placement {
	return placement{web: &web.Fault{
		Match:  web.Match{Method: r.Method, Path: r.Path, Host: r.Host, Header: r.Header},
		Effect: e, Percent: r.Percent, First: r.First, Seed: seed,
	}}
}

type httpDelayConfig struct {
	Delay  time.Duration `hcl:"delay" example:"100ms" min:"0s" max:"1h" doc:"How long a request is held back."`
	Jitter time.Duration `hcl:"jitter,optional" min:"0s" max:"1h" doc:"Each request is held back for delay ± jitter, evenly spread."`
	requests
}

func (c httpDelayConfig) place(seed uint64) (placement, error) {
	switch {
	case c.Delay+c.Jitter < least:
		return placement{}, fmt.Errorf("delay %s: %w", c.Delay, errNothing)
	case c.Jitter > c.Delay:
		return placement{}, fmt.Errorf("jitter %s is more than delay, %s: a request cannot arrive before it was sent", c.Jitter, c.Delay)
	}
	return c.request(web.Delay{Delay: c.Delay, Jitter: c.Jitter}, seed), nil
}

type httpAbortConfig struct {
	Status     int    `hcl:"status,optional" example:"503" min:"200" max:"599" doc:"Status of the answer."`
	GRPCStatus string `hcl:"grpc_status,optional" doc:"Status of the answer to a gRPC call: UNAVAILABLE, DEADLINE_EXCEEDED and so on."`
	Message    string `hcl:"message,optional" default:"aborted by faultline" doc:"Body of the answer, or message of the gRPC status."`
	BreakOff   bool   `hcl:"break_off,optional" doc:"Give no answer: the connection breaks off, of HTTP/2 the stream."`
	requests
}

func (c httpAbortConfig) place(seed uint64) (placement, error) {
	e := web.Abort{Status: c.Status, GRPC: -1, Message: c.Message}
	if c.GRPCStatus != "" {
		var code codes.Code
		if err := code.UnmarshalJSON([]byte(`"` + c.GRPCStatus + `"`)); err != nil || code == codes.OK {
			return placement{}, fmt.Errorf("grpc_status %q is not the name of an error: CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, "+
				"RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS or UNAUTHENTICATED", c.GRPCStatus)
		}
		e.GRPC = int(code)
	}
	switch given := c.Status != 0 || c.GRPCStatus != ""; {
	case given == c.BreakOff:
		return placement{}, errors.New("say how requests end: with status, grpc_status (or both, for either kind of request), or break_off = true")
	case c.GRPCStatus != "" && c.Status == 0:
		e.Status = 503 // a request that matches is aborted, whatever it is
	}
	return c.request(e, seed), nil
}

type httpBodyConfig struct {
	Replace        *string `hcl:"replace,optional" exactly_one:"what" example:"{}" doc:"The body that is sent in the place of the server's."`
	ContentType    string  `hcl:"content_type,optional" doc:"Content type of the replacement. Default: the server's."`
	Truncate       *int    `hcl:"truncate,optional" unit:"bytes" exactly_one:"what" min:"0" doc:"Break the connection (of HTTP/2: the stream) off after so many bytes of the body."`
	CorruptPercent float64 `hcl:"corrupt_percent,optional" exactly_one:"what" min:"0.000001" max:"100" doc:"Flip a bit in this share of the body's bytes."`
	requests
}

func (c httpBodyConfig) place(seed uint64) (placement, error) {
	ways := 0
	for _, given := range []bool{c.Replace != nil, c.Truncate != nil, c.CorruptPercent > 0} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return placement{}, errors.New("give exactly one of replace, truncate and corrupt_percent")
	case c.ContentType != "" && c.Replace == nil:
		return placement{}, errors.New("content_type is the replacement's: give replace, too")
	}
	e := web.Body{Replace: c.Replace, ContentType: c.ContentType, Corrupt: c.CorruptPercent}
	if c.Truncate != nil {
		n := int64(*c.Truncate)
		e.Truncate = &n
	}
	return c.request(e, seed), nil
}
