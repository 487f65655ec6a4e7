package main

import (
	"context"
	"errors"
	"math"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// probe is an opened probe.
type probe struct {
	client api.Client
	api    promv1.API
	query  string
	maxAge time.Duration
	now    func() time.Time
	age    atomic.Int32 // an ageCheck
}

// ask sends the query.
func (p *probe) ask(ctx context.Context) (model.Value, promv1.Warnings, promv1.Infos, error) {
	return p.api.Query(ctx, p.query, time.Time{}, p.limit())
}

func (p *probe) measure(ctx context.Context) sdk.Sample {
	answer, warnings, _, err := p.ask(ctx)
	switch {
	case err != nil:
		return sdk.Missing(cause(ctx, err))
	case len(warnings) > 0:
		// A part of the data was not there, or could not be used.
		return sdk.Missing("the server warns that the answer is incomplete")
	}
	s, at := p.sampleOf(answer)
	if s.Status != schema.OK {
		return s
	}
	old, err := p.tooOld(ctx, at)
	switch {
	case err != nil:
		return sdk.Missing(cause(ctx, err))
	case old:
		return sdk.Missing("stale: the data is older than max_age")
	}
	return s
}

// sampleOf finds the one number in an answer, and the time that it stands for.
func (p *probe) sampleOf(answer model.Value) (s sdk.Sample, at model.Time) {
	var value model.SampleValue
	switch a := answer.(type) {
	case model.Vector:
		switch {
		case len(a) == 0:
			return sdk.Missing("no data"), 0
		case len(a) > 1:
			return sdk.Missing("more than one series: aggregate them in the query, with sum() or max()"), 0
		case a[0].Histogram != nil:
			return sdk.Missing("a histogram: take a quantile or an average of it in the query"), 0
		}
		at, value = a[0].Timestamp, a[0].Value
	case *model.Scalar:
		at, value = a.Timestamp, a.Value
	default:
		return sdk.Missing("not a number: the query gives a range or a string"), 0
	}
	switch v := float64(value); {
	case math.IsNaN(v):
		return sdk.Missing("NaN"), 0
	case math.IsInf(v, 0):
		return sdk.Missing("infinite"), 0
	case p.now().Sub(at.Time()) > p.maxAge:
		return sdk.Missing("stale: the answer is older than max_age, or the clocks differ"), 0
	default:
		return sdk.Good().WithValue(v), at
	}
}

func isBadData(err error) bool {
	var refused *promv1.Error
	return errors.As(err, &refused) && refused.Type == promv1.ErrBadData
}

// cause says why there is no answer, in words that are the same for the same cause.
func cause(ctx context.Context, err error) string {
	var refused *promv1.Error
	var dns *net.DNSError
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return "the probe was stopped"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "no answer: connection refused"
	case errors.As(err, &dns):
		return "no answer: no such host"
	case errors.As(err, &refused):
		return "the server says " + string(refused.Type)
	}
	return "no answer"
}
